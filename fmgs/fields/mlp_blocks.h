#pragma once
/// The layers of an Mlp on the CPU.
#include <torch/types.h>

#include <vector>

namespace fmgs::detail {

/// What the layers of a network make of x [N,widths.front()]: [N,widths.back()]. Blocks of rows go
/// through all layers, forward and backward, so that what lies between two layers stays in the
/// second cache. Sums over rows are taken in parts that do not depend on the number of threads.
/// type: that of the products of all layers but the last, whose output is x's.
/// A second derivative raises.
torch::Tensor mlp_in_blocks(const torch::Tensor& x, const std::vector<torch::Tensor>& weights,
                            const std::vector<torch::Tensor>& biases, at::ScalarType type);

}  // namespace fmgs::detail
