#include <fmgs/losses/blendshapes.h>

#include <fmgs/core/check.h>

namespace fmgs {

BlendshapeLoss::BlendshapeLoss(std::shared_ptr<TemplateBlendshapesImpl> blendshapes)
    : blendshapes_(std::move(blendshapes)) {
    if (!blendshapes_ || !blendshapes_->penalty().defined())
        throw Error("blendshape loss: expected blendshapes with a learned basis, got none");
}

torch::Tensor BlendshapeLoss::forward(const LossInput&) { return blendshapes_->penalty(); }

}  // namespace fmgs
