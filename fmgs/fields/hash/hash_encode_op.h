#pragma once
/// What a backend of fmgs::hash_encode is given: checked inputs, shapes as in hash_encode.h.
#include <fmgs/fields/hash/hash_levels.h>
#include <torch/types.h>

#include <array>
#include <tuple>
#include <vector>

namespace fmgs::detail {

using torch::Tensor;
using Levels = std::vector<HashLevel>;

/// corners: empty for live points.
struct EncodeInputs {
    Levels levels;
    Tensor table, x;
    std::vector<Tensor> corners;
};

#if defined(FMGS_CUDA)
Tensor hash_encode_cuda(const EncodeInputs& in);
/// Gradients to the table and to x; one that is not needed comes out undefined.
std::tuple<Tensor, Tensor> hash_encode_cuda_backward(const EncodeInputs& in, const Tensor& grad,
                                                     std::array<bool, 2> needs);
#endif

}  // namespace fmgs::detail
