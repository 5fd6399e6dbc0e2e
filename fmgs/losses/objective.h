#pragma once
/// The coordinated objective (eq. 21): terms grouped by reach, one routed render, the weighted sum.
#include <fmgs/core/config/schedule.h>
#include <fmgs/losses/loss.h>

#include <memory>
#include <optional>

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
    /// what was rendered, no gradient; of a map that no loss sees but in the mask, the box around
    /// it
    Maps rendered;
};

/// Starts empty. A term with weight 0 now is neither evaluated nor rendered. Its parameters and
/// buffers are those that losses own (group "loss"), named LOSS.parameter.
class ObjectiveImpl : public torch::nn::Module {
  public:
    /// Error: a name that is taken or that check_name (core/names.h) refuses, unless the routing
    /// table has it; a loss that is null; a reach that opens skinning without position.
    void add(const std::string& name, std::shared_ptr<Loss> loss, Schedule weight, Reach reach);
    /// progress = step / steps, for the schedules. Where the frame's map `seen` [1,H,W] is 0, no
    /// loss sees what is rendered; its color and mask are 0 there. Error: a term whose targets the
    /// frame does not have, or whose reach names a column that the surfels do not have.
    LossReport forward(const Surfels& surfels, const Frame& frame, const Random& random,
                       double progress);

    struct Entry {
        std::string name;
        std::shared_ptr<Loss> loss;
        Schedule weight;
        Reach reach;
    };
    const std::vector<Entry>& entries() const { return entries_; }

    /// LossInput::static_shapes. Unset: everywhere but on a CPU, where reading back is free.
    std::optional<bool> static_shapes;

  private:
    std::vector<Entry> entries_;
};
TORCH_MODULE(Objective);

}  // namespace fmgs
