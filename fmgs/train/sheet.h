#pragma once
/// Maps as pictures, and contact sheets of them.
#include <fmgs/core/types.h>

namespace fmgs {

/// Depth [1,H,W] in metres → colours [3,H,W] in [0,1], near is warm; black where `where` [1,H,W]
/// bool is false. The range runs from the smallest to the largest depth in `where`, or from `near`
/// to `far` when near < far.
torch::Tensor colorize_depth(const torch::Tensor& depth, const torch::Tensor& where,
                             double near = 0, double far = 0);
/// Unit normals [3,H,W] in the camera frame (x right, y down, z forward) → (x, -y, -z)/2 + 1/2;
/// black where `where` is false.
torch::Tensor colorize_normal(const torch::Tensor& normal, const torch::Tensor& where);
/// Labels [H,W] → colours [3,H,W] of the 28 body-part classes' palette; background is black, other
/// labels get own colours.
torch::Tensor colorize_labels(const torch::Tensor& labels);
/// Features [C,H,W] → colours: the first three channels stretched to [0,1] (one channel: grey).
torch::Tensor colorize_feature(const torch::Tensor& feature, const torch::Tensor& where);

/// One row: ground truth | color | alpha | depth | normal | normal from depth | semantics; maps
/// that were not rendered are left out, further modalities follow. Cut to the subject (true mask or
/// alpha above ½) and 8 pixels around it. [3,H',W'] in [0,1], 2 pixels of grey between the pictures.
torch::Tensor sheet_row(const Frame& frame, const Maps& rendered);
/// Pictures [3,H,W] side by side (or below each other), top left aligned, on grey.
torch::Tensor beside(const std::vector<torch::Tensor>& images, int64_t gap = 2);
torch::Tensor below(const std::vector<torch::Tensor>& images, int64_t gap = 2);

}  // namespace fmgs
