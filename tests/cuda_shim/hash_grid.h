#pragma once
/// The CUDA backend of the hash grid run on CPU tensors by cuda_runtime.h's stand-in; float or
/// double.
#include <fmgs/fields/hash_grid.h>
#include <torch/types.h>

#include <array>
#include <tuple>
#include <vector>

namespace fmgs::test {

/// As detail::hash_encode, without its gradient.
torch::Tensor shim_hash_encode(const torch::Tensor& table, const torch::Tensor& x,
                               const HashGridOptions& options,
                               const std::vector<torch::Tensor>& corners);
/// Gradients to the table and to x.
std::tuple<torch::Tensor, torch::Tensor> shim_hash_encode_backward(
    const torch::Tensor& grad, const torch::Tensor& table, const torch::Tensor& x,
    const HashGridOptions& options, const std::vector<torch::Tensor>& corners,
    std::array<bool, 2> needs);
/// row_offsets, columns and values of live points, as HashGrid::locate makes them.
std::vector<torch::Tensor> shim_live_transpose(const torch::Tensor& table, const torch::Tensor& x,
                                               const HashGridOptions& options);
/// The entry point of a GPU, which refuses what no kernel is built for.
torch::Tensor shim_hash_encode_entry(const torch::Tensor& table, const torch::Tensor& x,
                                     const HashGridOptions& options);

}  // namespace fmgs::test
