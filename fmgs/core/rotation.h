#pragma once
/// Rotations: differentiable, safe at angle 0 (and π for the inverse), float and double.
#include <torch/types.h>

namespace fmgs {

/// [r]× of rows r: [N,3] → [N,3,3].
torch::Tensor skew(const torch::Tensor& r);
/// exp([r]×) (Rodrigues). r: axis-angle [N,3], radians. Returns [N,3,3]. Value and gradient are
/// finite and right at r = 0.
torch::Tensor exp_map(const torch::Tensor& r);
/// R exp([r]×): R [N,3,3], r [N,3]. On the CPU in one pass.
torch::Tensor turned(const torch::Tensor& R, const torch::Tensor& r);
/// The axis-angle of rotation matrices: [N,3,3] → [N,3], angle in [0,π]. Finite at 0 and at π.
torch::Tensor log_map(const torch::Tensor& R);

}  // namespace fmgs
