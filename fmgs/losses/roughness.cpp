#include <fmgs/losses/roughness.h>

#include <fmgs/losses/pixels.h>

namespace fmgs {

torch::Tensor RoughnessTvLoss::forward(const LossInput& input) {
    // Where nothing is drawn there is no roughness; those pixels do not count.
    const auto inside = foreground(input).unsqueeze(0);
    const auto roughness =
        input.rendered.at("roughness") / input.rendered.at("alpha").clamp_min(1e-6);
    torch::Tensor sum = connected_zero(roughness), pairs = inside.narrow(0, 0, 0).sum();
    for (const int64_t dimension : {1, 2}) {
        const int64_t n = roughness.size(dimension) - 1;
        const auto both =
            inside.narrow(dimension, 1, n).logical_and(inside.narrow(dimension, 0, n));
        sum = sum + roughness.diff(1, dimension).square().masked_fill(both.logical_not(), 0).sum();
        pairs = pairs + both.sum();
    }
    return sum / pairs.clamp_min(1);
}

}  // namespace fmgs
