#pragma once
/// The connection between ranks: c10d's Gloo, the store at which they meet, and the watch that says
/// who is lost. Whatever takes too long throws LostRankError; nothing waits without end,
/// destructors included.
#include <fmgs/train/rank_environment.h>
#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

namespace fmgs {

class Link {
  public:
    virtual ~Link() = default;
    /// In place; the tensors may lie on a GPU and have to be contiguous. All are on their way at
    /// once.
    virtual void sum(const std::vector<torch::Tensor>& tensors) = 0;
    /// In place; contiguous, on the CPU.
    virtual void take_from_first(const torch::Tensor& tensor) = 0;
    /// Tensors of one shape, on the CPU.
    virtual std::vector<torch::Tensor> gather(const torch::Tensor& tensor) = 0;
    virtual void at_step(int64_t step) = 0;
    /// "Gloo", …
    virtual std::string name() const = 0;
};

/// Error: who did not come within `timeout` seconds; no Gloo in this build.
std::unique_ptr<Link> open_link(const RankEnvironment& environment, double timeout);

}  // namespace fmgs
