#pragma once
/// Errors of single rendered maps: masks, depth, normals.
#include <torch/types.h>

namespace fmgs {

/// |A∩B| / |A∪B| of alpha > 0.5 and mask > 0.5, both [1,H,W]. 1 when both are empty.
double mask_iou(const torch::Tensor& alpha, const torch::Tensor& mask);
/// The F-measure of the outlines of the same two (Perazzi et al., CVPR 2016): precision and recall
/// of outline pixels that have one of the other within `tolerance` times the picture's diagonal,
/// rounded up to pixels. 1 when both are empty. Theirs is 0.008, at which a mask IoU of 0.91 has
/// 0.999.
double mask_boundary_f(const torch::Tensor& alpha, const torch::Tensor& mask,
                       double tolerance = 0.002);

/// Mean |depth - truth| in metres over `where` [1,H,W] bool. NaN when it is empty.
double depth_mae(const torch::Tensor& depth, const torch::Tensor& truth,
                 const torch::Tensor& where);
/// The same of a·depth + b with the a and b of least squares: what is left of the error when
/// distance and scale do not count. A depth that is constant keeps a = 0.
double aligned_depth_mae(const torch::Tensor& depth, const torch::Tensor& truth,
                         const torch::Tensor& where);

/// Angles between normals [3,H,W], normalised first, over `where` [1,H,W] bool. NaN when it is
/// empty.
struct NormalErrors {
    double mean, median;                  ///< degrees
    double below_11, below_22, below_30;  ///< shares of pixels below 11.25, 22.5 and 30 degrees
};
NormalErrors normal_errors(const torch::Tensor& normal, const torch::Tensor& truth,
                           const torch::Tensor& where);

}  // namespace fmgs
