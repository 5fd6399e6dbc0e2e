#pragma once
/// What readers of fits and of captures ask of the numbers in a file.
#include <fmgs/core/io/value.h>

namespace fmgs::detail {

/// A number, an array or lists of numbers as double, all finite. Error, with `what` in front, which
/// names the row that is not.
torch::Tensor finite_numbers(const Value& value, const std::string& what);

/// Where matrices [..,3,3] are furthest from a rotation: the index among all of them, and by how
/// much their columns are not orthonormal; one that mirrors is infinitely far. {-1, 0}: none.
std::pair<int64_t, double> worst_rotation(const torch::Tensor& matrices);
/// [..,3,3] → axis-angle [..,3], safe at π. Error, with `what` in front, unless these are rotations
/// to 0.02.
torch::Tensor axis_angle_of(const torch::Tensor& matrices, const std::string& what);

/// x = R(Rh)·SMPL(θ, no translation) + Th, a rotation about the origin of the resting body
/// (EasyMocap, ZJU-MoCap): where joint 0 is. Rh (axis-angle), Th: [F,3]; rest: [3]. Returns [F,3].
torch::Tensor root_of_rh_th(const torch::Tensor& Rh, const torch::Tensor& Th,
                            const torch::Tensor& rest);

}  // namespace fmgs::detail
