#pragma once
/// L_skin (§4.4, after 3DGS-Avatar): what keeps the skinning near the body's.
#include <fmgs/core/body.h>
#include <fmgs/fields/skinning.h>
#include <fmgs/losses/loss.h>

namespace fmgs {

/// L_skin = mean over fresh surface points x of Σ_j (ŵ_j(x) - w_j(x))²: field against the
/// template's weights, barycentrically, uniform by area on the canonical mesh. Reads field and body
/// themselves, as they are at the moment, and no surfel. Draws: random.generator("skin").
class SkinLoss : public Loss {
  public:
    /// Field and body stay the caller's: nothing of theirs is this module's. Error when one is
    /// null, or points < 1.
    SkinLoss(std::shared_ptr<Skinning> field, std::shared_ptr<const Body> body,
             int64_t points = 1024);
    torch::Tensor forward(const LossInput& input) override;

  private:
    std::shared_ptr<Skinning> field_;
    std::shared_ptr<const Body> body_;
    int64_t points_;
};

}  // namespace fmgs
