#pragma once
/// fmgs::hash_encode as its backends see it: what they are given, and the kernels that they
/// register. Shapes as in hash_encode.h.
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

/// How fmgs::hash_encode and fmgs::_hash_encode_backward are called.
using EncodeSignature = Tensor(const Tensor& table, const Tensor& x, int64_t levels,
                               int64_t base_resolution, int64_t finest_resolution,
                               int64_t log2_hashmap_size, at::TensorList corners);
using EncodeBackwardSignature = std::tuple<Tensor, Tensor>(
    const Tensor& grad, const Tensor& table, const Tensor& x, int64_t levels,
    int64_t base_resolution, int64_t finest_resolution, int64_t log2_hashmap_size,
    at::TensorList corners, std::array<bool, 2> needs);

/// The inputs, contiguous. Error on tensors that would make a kernel read outside its arrays.
EncodeInputs checked(const Tensor& table, const Tensor& x, int64_t levels, int64_t base_resolution,
                     int64_t finest_resolution, int64_t log2_hashmap_size, at::TensorList corners);
void check_gradient(const Tensor& grad, const EncodeInputs& in);

/// The kernel of fmgs::hash_encode that encodes with kEncode, to be registered.
template <Tensor (*kEncode)(const EncodeInputs&)>
Tensor encode_kernel(const Tensor& table, const Tensor& x, int64_t levels, int64_t base_resolution,
                     int64_t finest_resolution, int64_t log2_hashmap_size, at::TensorList corners) {
    return kEncode(
        checked(table, x, levels, base_resolution, finest_resolution, log2_hashmap_size, corners));
}

/// The kernel of fmgs::_hash_encode_backward. needs: gradients to table and x; one that is not
/// needed comes out undefined.
template <std::tuple<Tensor, Tensor> (*kDifferentiate)(const EncodeInputs&, const Tensor& grad,
                                                       std::array<bool, 2> needs)>
std::tuple<Tensor, Tensor> encode_backward_kernel(const Tensor& grad, const Tensor& table,
                                                  const Tensor& x, int64_t levels,
                                                  int64_t base_resolution,
                                                  int64_t finest_resolution,
                                                  int64_t log2_hashmap_size, at::TensorList corners,
                                                  std::array<bool, 2> needs) {
    const auto in =
        checked(table, x, levels, base_resolution, finest_resolution, log2_hashmap_size, corners);
    check_gradient(grad, in);
    return kDifferentiate(in, grad.contiguous(), needs);
}

}  // namespace fmgs::detail
