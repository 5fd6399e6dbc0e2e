#include <fmgs/losses/semantic.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

namespace fmgs {

torch::Tensor SemanticSmoothnessLoss::forward(const LossInput& input) {
    const auto& logits = input.canonical.features.at(map_);
    const auto& f = input.canonical.latents.at(map_);
    const int64_t classes = logits.size(1);
    if (classes < 2)
        throw Error(fmt::format(
            "semantic_smoothness: '{}' needs a background and at least one class, got {} channels",
            map_, classes));
    const auto assigned = logits.narrow(1, 1, classes - 1).argmax(1);
    // Sums over classes as matrix products with the 0/1 membership: deterministic on every device.
    const auto member = torch::zeros({f.size(0), classes - 1}, f.options().requires_grad(false))
                            .scatter_(1, assigned.unsqueeze(1), 1.0);
    const auto count = member.sum(0);
    const auto mean = torch::matmul(member.t(), f) / count.clamp_min(1).unsqueeze(1);
    const auto deviation = (f - mean.index_select(0, assigned)).square().sum(1);
    const auto variance = torch::mv(member.t(), deviation) / count.clamp_min(1);
    return 2 * variance.sum() / (count > 0).sum();  // (20)
}

}  // namespace fmgs
