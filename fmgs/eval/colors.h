#pragma once
/// One colour map for each modality.
#include <fmgs/core/types.h>

namespace fmgs {

/// The map as a picture [3,H,W] in [0,1], coloured by what its name stands for: color, alpha,
/// and albedo, roughness and shading of one or three channels, as they are; depth, normal,
/// depth_normal (normals of the depth), semantic (logits, or labels [H,W]) and any other feature as
/// below. Black where alpha [1,H,W] is not above ½, and where a normal is 0.
torch::Tensor colorize(const std::string& name, const torch::Tensor& map,
                       const torch::Tensor& alpha);
/// A picture [3,H,W] on black and its alpha [1,H,W] → [4,H,W] red, green, blue and alpha, straight
/// (un-premultiplied): colours are divided by the alpha that 8 bits hold, and 0 where that is 0.
/// Over a background b it is C·α + b·(1 - α).
torch::Tensor straight_alpha(const torch::Tensor& picture, const torch::Tensor& alpha);
/// Depth [1,H,W] in metres → colours [3,H,W] in [0,1], near is warm; black where `where` [1,H,W]
/// bool is false, and where the depth is 0: only the far side is seen. The range runs from the
/// smallest to the largest of the others, or from `near` to `far` when near < far.
torch::Tensor colorize_depth(const torch::Tensor& depth, const torch::Tensor& where,
                             double near = 0, double far = 0);
/// Values [H,W] → colours [3,H,W] in [0,1]: dark blue at 0 and below, then cyan, green, yellow,
/// dark red at `most` and above.
torch::Tensor colorize_error(const torch::Tensor& error, double most);
/// Unit normals [3,H,W] in the camera frame (x right, y down, z forward) → (x, -y, -z)/2 + 1/2;
/// black where `where` is false.
torch::Tensor colorize_normal(const torch::Tensor& normal, const torch::Tensor& where);
/// Labels [H,W] → colours [3,H,W] of the 28 body-part classes' palette; background is black, other
/// labels get own colours.
torch::Tensor colorize_labels(const torch::Tensor& labels);
/// Features [C,H,W] → colours: the first three channels stretched to [0,1] (one channel: grey).
torch::Tensor colorize_feature(const torch::Tensor& feature, const torch::Tensor& where);

}  // namespace fmgs
