#pragma once
/// What keeps learned blendshapes near the body's.
#include <fmgs/fields/blendshapes.h>
#include <fmgs/losses/loss.h>

namespace fmgs {

/// Mean of the squares of all that is learned of a basis, m² per squared unit of a coefficient; the
/// sum over the bases. Reads the blendshapes themselves, and no surfel.
class BlendshapeLoss : public Loss {
  public:
    /// They stay the caller's. Error when they are null or nothing of a basis is learned.
    explicit BlendshapeLoss(std::shared_ptr<TemplateBlendshapesImpl> blendshapes);
    torch::Tensor forward(const LossInput& input) override;

  private:
    std::shared_ptr<TemplateBlendshapesImpl> blendshapes_;
};

}  // namespace fmgs
