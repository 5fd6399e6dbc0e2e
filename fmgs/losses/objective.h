#pragma once
/// The coordinated objective (eq. 21): terms grouped by reach, one routed render, the weighted sum.
#include <fmgs/core/config/schedule.h>
#include <fmgs/losses/loss.h>

#include <memory>

namespace fmgs {

/// The sum to differentiate, and what each term contributed (detached, weighted and unweighted).
struct LossReport {
    torch::Tensor total;  ///< scalar
    struct Term {
        std::string name;
        double weight;        ///< at this step
        torch::Tensor value;  ///< scalar, unweighted, no gradient
    };
    std::vector<Term> terms;
    Maps rendered;  ///< what was rendered, no gradient
};

/// Starts empty. A term with weight 0 now is neither evaluated nor rendered.
class ObjectiveImpl : public torch::nn::Module {
  public:
    /// Error when the name is taken.
    void add(const std::string& name, std::shared_ptr<Loss> loss, Schedule weight, Reach reach);
    /// progress = step / steps, for the schedules.
    LossReport forward(const Surfels& surfels, const Frame& frame, const Random& random,
                       double progress);

    struct Entry {
        std::string name;
        std::shared_ptr<Loss> loss;
        Schedule weight;
        Reach reach;
    };
    const std::vector<Entry>& entries() const { return entries_; }

  private:
    std::vector<Entry> entries_;
};
TORCH_MODULE(Objective);

}  // namespace fmgs
