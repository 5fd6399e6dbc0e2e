#pragma once
/// Posing surfels whose attributes are linear in a few coefficients: one pass on the CPU.
#include <fmgs/core/surfels.h>

namespace fmgs::detail {

/// N surfels, K components, rows of A+8 attributes (fmgs/baked_avatar.h), all contiguous, on the
/// CPU and of one floating-point type.
struct LinearSurfels {
    const torch::Tensor& center;       // [N,3]
    const torch::Tensor& frame;        // [N,3,3]
    const torch::Tensor& bone_index;   // [N,4] int64, checked
    const torch::Tensor& bone_weight;  // [N,4]
    const torch::Tensor& mean;         // [N,A+8]
    const torch::Tensor& components;   // [K,N,A+8]
};

/// What Surfels::posed() finds for the attributes mean + Σ_k coefficients_k · component_k, without
/// a graph: center, tangents, normal, transform and the feature color. coefficients [K]; bones
/// [J,4,4].
PosedSurfels pose_linear_surfels(const LinearSurfels& surfels, const torch::Tensor& coefficients,
                                 const torch::Tensor& bones);

}  // namespace fmgs::detail
