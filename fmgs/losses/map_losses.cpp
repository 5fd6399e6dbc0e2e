#include <fmgs/core/check.h>
#include <fmgs/losses/map_losses.h>
#include <fmgs/losses/pixels.h>

namespace fmgs {
namespace {

// The pixels of `where` as columns: two maps [C,H,W] → [C,P] each. A body covers a tenth of its
// picture.
struct Columns {
    torch::Tensor rendered, wanted;
};
torch::Tensor columns(const torch::Tensor& map, const torch::Tensor& where) {
    return map.flatten(1).index_select(1, where.flatten().nonzero().squeeze(1));
}

Columns foreground_columns(const LossInput& input, const std::string& name, bool zero_is_missing) {
    const auto& map = input.rendered.at(name);
    const auto wanted = target(input, name, {map.size(0), map.size(1), map.size(2)}, map);
    auto where = foreground(input).logical_and(wanted.isfinite().all(0));
    if (zero_is_missing) where = where.logical_and((wanted != 0).any(0));
    return {columns(map, where), columns(wanted, where)};
}

// Mean of per-pixel values [P]; a connected 0 when there are none.
torch::Tensor mean_or_zero(const torch::Tensor& values) {
    return values.sum() / double(std::max<int64_t>(values.numel(), 1));
}

}  // namespace

torch::Tensor MapL1Loss::forward(const LossInput& input) {
    const auto [f, wanted] = foreground_columns(input, map_, false);
    return mean_or_zero((f - wanted).abs().mean(0));
}

torch::Tensor MapL2Loss::forward(const LossInput& input) {
    const auto [f, wanted] = foreground_columns(input, map_, false);
    return mean_or_zero((f - wanted).square().mean(0));
}

torch::Tensor MapCosineLoss::forward(const LossInput& input) {
    const auto [f, wanted] = foreground_columns(input, map_, true);
    const auto length = ((f.square().sum(0) + 1e-20) * wanted.square().sum(0)).sqrt();
    return mean_or_zero(1 - (f * wanted).sum(0) / length);
}

torch::Tensor CrossEntropyLoss::forward(const LossInput& input) {
    const auto& logits = input.rendered.at(map_);
    const auto labels =
        target(input, map_, {logits.size(1), logits.size(2)}, logits).to(torch::kLong);
    const auto where = inside_mask(input, logits).logical_and(labels != 0);
    const auto chosen = labels.masked_select(where);
    if (chosen.numel() == 0) return connected_zero(logits);
    if (logits.is_cpu() &&
        ((chosen < 0) | (chosen >= logits.size(0))).any().item<bool>()) {  // a device checks itself
        throw Error("map '{}' of frame '{}': labels must lie in [0,{}), got {}", map_,
                    input.frame.name, logits.size(0), chosen.max().item<int64_t>());
    }
    const auto log_probability = torch::log_softmax(columns(logits, where), 0);
    return -log_probability.gather(0, chosen.unsqueeze(0)).mean();  // (19)
}

}  // namespace fmgs
