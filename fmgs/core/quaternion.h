#pragma once
/// Rotations as unit quaternions w, x, y, z.
#include <torch/types.h>

namespace fmgs {

/// Of rotation matrices [N,3,3]: [N,4], w ≥ 0. Differentiable.
torch::Tensor quaternion_of(const torch::Tensor& rotation);
/// The rotation matrices [N,3,3] of quaternions [N,4] of any length but 0.
torch::Tensor rotation_of(const torch::Tensor& quaternion);

}  // namespace fmgs
