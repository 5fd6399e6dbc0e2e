#pragma once
/// The registered ops behind HashGrid. `torch.ops.fmgs.hash_encode` in any program that loads the
/// library.
#include <fmgs/fields/hash_grid.h>

namespace fmgs::detail {

/// fmgs::hash_encode(table [entries,F], x [N,3] in the unit cube, levels, base_resolution,
/// finest_resolution, log2_hashmap_size, corners) → [N,L·F]. corners: empty (live: gradients to
/// table and x), or the five cached tensors of FixedPoints after `points` (gradient to the table
/// only). CPU, float and double, or CUDA, float, at most 32 levels; the bits do not depend on the
/// number or order of threads. A second derivative raises.
torch::Tensor hash_encode(const torch::Tensor& table, const torch::Tensor& x,
                          const HashGridOptions& options,
                          const std::vector<torch::Tensor>& corners);

}  // namespace fmgs::detail
