#pragma once
/// Which attribute of which surfel a loss moves.
#include <fmgs/losses/objective.h>

namespace fmgs {

/// Columns of the routing table, as leaves: name → tensor with N rows.
using Columns = std::vector<std::pair<std::string, torch::Tensor>>;

/// Makes a leaf of every attribute of the surfels, and lists them.
Columns make_leaves(Surfels& surfels);

/// The gradient of one term to every column: its size for each surfel, [N]; undefined where it does
/// not reach.
std::vector<torch::Tensor> gradient_sizes(const ObjectiveImpl::Entry& entry, const Surfels& surfels,
                                          const Columns& columns, const Frame& frame);

/// What a row of gradients.csv holds: for every term and column "TERM:COLUMN" and the mean size of
/// its gradient to a surfel, the term unweighted; NaN where it does not reach. What the losses own
/// is as before.
std::vector<std::pair<std::string, double>> mean_gradients(Objective& objective, Surfels surfels,
                                                           const Frame& frame);

/// Sizes [N] → colours [N,3], black-red-yellow-white up to the 99th percentile; grey where
/// undefined. As `like` in type and device.
torch::Tensor heat(const torch::Tensor& size, int64_t n, const torch::TensorOptions& like);

}  // namespace fmgs
