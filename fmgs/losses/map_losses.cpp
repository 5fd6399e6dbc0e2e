#include <fmgs/losses/map_losses.h>

#include <fmgs/losses/pixels.h>

namespace fmgs {
namespace {

struct Foreground {
    Columns columns;
    torch::Tensor rendered, wanted;  // [C,P]
};

Foreground foreground_columns(const LossInput& input, const std::string& name,
                              bool zero_is_missing) {
    const auto& map = input.rendered.at(name);
    const auto wanted = target(input, name, {map.size(0), map.size(1), map.size(2)}, map);
    auto where = foreground(input).logical_and(wanted.isfinite().all(0));
    if (zero_is_missing) where = where.logical_and((wanted != 0).any(0));
    const Columns columns(where, input.static_shapes);
    return {columns, columns.pick(map), columns.pick(wanted, 1)};  // a target of 0 has no direction
}

}  // namespace

torch::Tensor MapL1Loss::forward(const LossInput& input) {
    const auto [at, f, wanted] = foreground_columns(input, map_, false);
    return at.mean((f - wanted).abs().mean(0));
}

torch::Tensor MapL2Loss::forward(const LossInput& input) {
    const auto [at, f, wanted] = foreground_columns(input, map_, false);
    return at.mean((f - wanted).square().mean(0));
}

torch::Tensor MapCosineLoss::forward(const LossInput& input) {
    const auto [at, f, wanted] = foreground_columns(input, map_, true);
    const auto length = ((f.square().sum(0) + 1e-20) * wanted.square().sum(0)).sqrt();
    return at.mean(1 - (f * wanted).sum(0) / length);
}

torch::Tensor CrossEntropyLoss::forward(const LossInput& input) {
    const auto& logits = input.rendered.at(map_);
    const int64_t height = logits.size(1), width = logits.size(2);
    const auto* map = input.frame.maps.find(map_);
    const bool of_file = map && map->dim() == 3;  // a modality of one's own: one channel
    const auto labels = (of_file ? target(input, map_, {1, height, width}, logits).squeeze(0)
                                 : target(input, map_, {height, width}, logits))
                            .to(torch::kLong);
    const auto is_class = (labels > 0).logical_and(labels < logits.size(0));
    const Columns at(inside_mask(input, logits).logical_and(is_class), input.static_shapes);
    const auto chosen = at.pick(labels.unsqueeze(0));  // [1,P]
    const auto log_probability = torch::log_softmax(at.pick(logits), 0);
    return -at.mean(log_probability.gather(0, chosen).squeeze(0));  // (19)
}

}  // namespace fmgs
