#include <fmgs/core/check.h>
#include <fmgs/losses/depth_rank.h>
#include <fmgs/losses/pixels.h>

namespace fmgs {

DepthRankLoss::DepthRankLoss(DepthRankOptions options) : options_(std::move(options)) {
    if (options_.satisfied != "push" && options_.satisfied != "ignore") {
        throw Error("depth_rank.satisfied: expected push or ignore, got '{}'", options_.satisfied);
    }
}

torch::Tensor DepthRankLoss::forward(const LossInput& input) {
    const auto& depth = input.rendered.at("depth");
    const int64_t height = depth.size(1), width = depth.size(2);
    const auto prior = target(input, "depth", {1, height, width}, depth).squeeze(0);
    auto usable = foreground(input).logical_and(prior != 0).logical_and(prior.isfinite());
    const auto pixels_of_range = usable.flatten().nonzero().squeeze(1);
    if (pixels_of_range.numel() < 2) return connected_zero(depth);
    const auto known = prior.flatten().index_select(0, pixels_of_range);
    const auto gap = options_.min_gap * (known.max() - known.min());

    if (input.frame.maps.contains(
            "normal")) {  // a grazing pixel straddles an edge: its prior is a mixture
        const auto normal = target(input, "normal", {3, height, width}, depth);
        const auto length = normal.square().sum(0).sqrt();
        usable = usable.logical_and((normal[2].abs() < options_.min_cosine * length).logical_not());
    }
    const auto pixels = usable.flatten().nonzero().squeeze(1);
    if (pixels.numel() < 2) return connected_zero(depth);
    const auto draw =
        torch::randint(pixels.numel(), {2 * options_.pairs}, input.random.generator("depth_pairs"),
                       torch::TensorOptions(torch::kLong));
    const auto at = pixels.index_select(0, draw.to(pixels.device()));
    const auto rendered = depth.flatten().index_select(0, at).view({2, -1});
    const auto wanted = prior.flatten().index_select(0, at).view({2, -1});

    const auto difference = rendered[0] - rendered[1];
    const auto wanted_difference = wanted[0] - wanted[1];
    const auto order = wanted_difference.sign();                                // (15)
    auto error = (torch::tanh(options_.sharpness * difference) - order).abs();  // (16)
    if (options_.satisfied == "ignore") error = error.masked_fill(difference * order > 0, 0);
    return masked_mean(error, (wanted_difference.abs() >= gap).logical_and(order != 0));
}

}  // namespace fmgs
