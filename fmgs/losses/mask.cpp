#include <fmgs/losses/mask.h>

#include <fmgs/losses/pixels.h>

namespace fmgs {

torch::Tensor MaskLoss::forward(const LossInput& input) {
    const auto& alpha = input.rendered.at("alpha");
    const auto mask = target(input, "mask", {1, alpha.size(1), alpha.size(2)}, alpha);
    const auto a = alpha.clamp(1e-3, 1 - 1e-3);
    return -(mask * a.log() + (1 - mask) * torch::log1p(-a)).mean();  // (14)
}

}  // namespace fmgs
