#pragma once
/// What a loss is and what it sees.
#include <fmgs/core/parameter_group.h>
#include <fmgs/core/random.h>
#include <fmgs/core/surfels.h>
#include <torch/nn/module.h>

namespace fmgs {

/// Everything a loss may look at. Gradients flow back only where the loss's row of the routing
/// table is open.
struct LossInput {
    const Surfels& canonical;   ///< restricted to the loss's reach
    const PosedSurfels& posed;  ///< posed with the loss's reach
    const Maps& rendered;       ///< the maps that needs() and looks_at() name, and alpha
    const Frame& frame;         ///< targets in frame.maps
    Random random;              ///< this step's draws
    /// Pixels are masked rather than picked, so that no shape depends on values and nothing is read
    /// back; random pixels are drawn in another way then. The Objective says.
    bool static_shapes = false;
};

/// One term of the objective. forward returns an unweighted scalar mean. The weight lives in the
/// Objective. What a loss registers is its own alone (a checkpoint keeps it); fields and bodies
/// that it reads stay unregistered.
class Loss : public torch::nn::Module, public ParameterGroups {
  public:
    using torch::nn::Module::Module;
    /// Names of the rendered maps the term reads: "color", "alpha", "depth", "normal", a feature.
    /// Empty: reads surfels only.
    virtual std::vector<std::string> needs() const { return {}; }
    /// Names of geometry maps ("alpha", "depth", "normal") of which values will do, to pick pixels:
    /// they come without a gradient, from whichever route draws them.
    virtual std::vector<std::string> looks_at() const { return {}; }
    /// Names of frame.maps the term reads; a frame without one of them skips the term with an Error
    /// that names it.
    virtual std::vector<std::string> targets() const { return {}; }
    /// Reads it no pixel but those of the mask (> 0.5), and depends on no number of others? Then it
    /// may be given the box around them alone: maps, frame and camera are cut alike.
    virtual bool stays_in_mask() const { return false; }
    virtual torch::Tensor forward(const LossInput& input) = 0;
    /// What a loss owns is optimised with the rate of this group.
    std::string parameter_group(const std::string&) const override { return "loss"; }
};

}  // namespace fmgs
