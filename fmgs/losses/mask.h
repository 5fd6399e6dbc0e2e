#pragma once
/// L_m (eq. 14): the silhouette.
#include <fmgs/losses/loss.h>

namespace fmgs {

/// L_m = mean over all pixels of -(M̄ log α + (1-M̄) log(1-α)), α clamped to [1e-3, 1-1e-3]: a
/// clamped pixel has no gradient.
class MaskLoss : public Loss {
  public:
    std::vector<std::string> needs() const override { return {"alpha"}; }
    std::vector<std::string> targets() const override { return {"mask"}; }
    torch::Tensor forward(const LossInput& input) override;
};

}  // namespace fmgs
