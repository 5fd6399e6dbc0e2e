#pragma once
/// L_s (eq. 19) and L_reg (eq. 20): labels, and surfels of one class alike.
#include <fmgs/losses/map_losses.h>

namespace fmgs {

/// L_s on the map "semantic".
class SemanticLoss : public CrossEntropyLoss {
  public:
    explicit SemanticLoss(std::string map = "semantic") : CrossEntropyLoss(std::move(map)) {}
};

/// L_reg = mean over non-empty classes c of (1/n_c²) Σ_{i,j ∈ c} ‖f_i - f_j‖² = 2·variance of the
/// sampled latents f [N,32]: linear in N, and not growing with the class as eq. 20's 1/n_c does. A
/// surfel's class is the argmax of its logits over classes ≥ 1, found anew in each call: that is
/// cheap, and keeps no state that a resumed run would have to restore.
class SemanticSmoothnessLoss : public Loss {
  public:
    explicit SemanticSmoothnessLoss(std::string map = "semantic") : map_(std::move(map)) {}
    torch::Tensor forward(const LossInput& input) override;

  private:
    std::string map_;
};

}  // namespace fmgs
