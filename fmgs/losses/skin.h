#pragma once
/// L_skin (§4.4, after 3DGS-Avatar): what keeps the skinning near the body's.
#include <fmgs/core/body.h>
#include <fmgs/fields/skinning_table.h>
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

/// L_skin of a skinning table, which has weights at its surfels only: the mean over the surfels of
/// Σ_j (w_j - w₀_j)², w₀ the template's. Reads the table itself, and no surfel.
class SkinningTableLoss : public Loss {
  public:
    /// The table stays the caller's. Error when it is null.
    explicit SkinningTableLoss(std::shared_ptr<SkinningTableImpl> table);
    torch::Tensor forward(const LossInput& input) override;

  private:
    std::shared_ptr<SkinningTableImpl> table_;
};

}  // namespace fmgs
