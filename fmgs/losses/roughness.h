#pragma once
/// What keeps the roughness of a material calm.
#include <fmgs/losses/loss.h>

namespace fmgs {

/// Mean of (O - O')² over neighbours, right and below, both in F = mask ∩ α > 0.5, of the rendered
/// roughness O = Σ w o / α (HRAvatar's L_tv(O)).
class RoughnessTvLoss : public Loss {
  public:
    std::vector<std::string> needs() const override { return {"roughness"}; }
    std::vector<std::string> targets() const override { return {"mask"}; }
    bool stays_in_mask() const override { return true; }
    torch::Tensor forward(const LossInput& input) override;
};

}  // namespace fmgs
