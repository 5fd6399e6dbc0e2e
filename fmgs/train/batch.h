#pragma once
/// Steps that learn from several frames, on one rank or shared out among several.
#include <fmgs/core/parameter_group.h>
#include <fmgs/losses/objective.h>
#include <fmgs/train/ranks.h>

namespace fmgs {

/// Which frames of each step a rank draws. Draws are numbered through the whole run, batch of them
/// a step: so neither the frames of a step nor their random numbers depend on the number of ranks.
struct Share {
    int64_t batch = 1;           ///< frames of a step, on all ranks
    int64_t begin = 0, end = 1;  ///< this rank's among them

    /// Consecutive, as even as they come. Error: fewer frames than ranks.
    static Share of(int64_t batch, const Ranks& ranks);
    /// The numbers of this rank's draws in a step.
    std::vector<int64_t> draws(int64_t step) const;
    /// This rank's draw after that one.
    int64_t next(int64_t draw) const;
};

/// The mean of what a step's frames came to.
class MeanReport {
  public:
    void add(LossReport report);
    /// Over the batch on all ranks. What was rendered is that of this rank's first frame.
    LossReport over(Ranks& ranks, int64_t batch) const;

  private:
    std::vector<LossReport> reports_;
};

/// The gradients of the parameters, sums over this rank's frames so far, become the mean over the
/// batch on all ranks: the same bits on all. They are added up in buckets of 8 MB. A parameter
/// without a gradient on any rank stays without. Returns this rank's own sums, by parameter; empty
/// for a batch of 1.
std::vector<torch::Tensor> average_gradients(Ranks& ranks, const std::vector<Parameter>& parameters,
                                             int64_t batch);

}  // namespace fmgs
