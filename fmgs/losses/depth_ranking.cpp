#include <fmgs/losses/depth_ranking.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/cuda/upload.h>
#include <fmgs/losses/pixels.h>
#include <fmt/format.h>

#include <limits>
#include <optional>

namespace fmgs {
namespace {

// Random pixels of `usable` (bool [H,W]), [n] int64 into its H·W; nothing when there are fewer than
// two. With static shapes something comes back in any case.
std::optional<torch::Tensor> draw_pixels(const torch::Tensor& usable, int64_t n,
                                         at::Generator generator, bool static_shapes) {
    if (static_shapes) {
        const auto order = usable.flatten().cumsum(0);  // of each usable pixel, from 1
        const auto draw = upload(torch::rand({n}, std::move(generator), torch::kDouble),
                                 order.options().dtype(torch::kDouble));
        const auto wanted = (draw * order.select(0, -1)).floor().to(torch::kLong) + 1;
        return torch::searchsorted(order, wanted).clamp_max(order.size(0) - 1);
    }
    const auto pixels = usable.flatten().nonzero().squeeze(1);
    if (pixels.numel() < 2) return std::nullopt;
    const auto draw = torch::randint(pixels.numel(), {n}, std::move(generator),
                                     torch::TensorOptions(torch::kLong));
    return pixels.index_select(0, draw.to(pixels.device()));
}

// Largest minus smallest value of `where`; -∞ when that is nowhere.
torch::Tensor spread(const torch::Tensor& values, const torch::Tensor& where) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const auto out = where.logical_not();
    return values.masked_fill(out, -kInfinity).max() - values.masked_fill(out, kInfinity).min();
}

}  // namespace

DepthRankingLoss::DepthRankingLoss(DepthRankingOptions options) : options_(std::move(options)) {
    if (options_.satisfied != "push" && options_.satisfied != "ignore") {
        throw Error(fmt::format("losses.depth_ranking.satisfied: expected push or ignore, got '{}'",
                                options_.satisfied));
    }
    check_ranges(options_, "losses.depth_ranking");
}

std::vector<std::string> DepthRankingLoss::looks_at() const {
    if (options_.min_cosine > 0) return {"normal"};
    return {};
}

torch::Tensor DepthRankingLoss::forward(const LossInput& input) {
    const auto& depth = input.rendered.at("depth");
    const int64_t height = depth.size(1), width = depth.size(2);
    const auto given = target(input, "depth", {1, height, width}, depth).squeeze(0);
    auto usable = foreground(input).logical_and(given != 0).logical_and(given.isfinite());
    const auto prior = given.masked_fill(usable.logical_not(), 0);
    const auto gap = options_.min_gap * spread(prior, usable);

    if (options_.min_cosine > 0)  // a grazing pixel straddles an edge: its prior is a mixture
        usable = usable.logical_and(input.rendered.at("normal")[2].abs() >= options_.min_cosine);
    const auto at = draw_pixels(usable, 2 * options_.pairs, input.random.generator("depth_pairs"),
                                input.static_shapes);
    if (!at) return connected_zero(depth);
    const auto rendered = depth.flatten().index_select(0, *at).view({2, -1});
    const auto wanted = prior.flatten().index_select(0, *at).view({2, -1});

    const auto difference = rendered[0] - rendered[1];
    const auto wanted_difference = wanted[0] - wanted[1];
    const auto order = wanted_difference.sign();                                // (15)
    auto error = (torch::tanh(options_.sharpness * difference) - order).abs();  // (16)
    if (options_.satisfied == "ignore") error = error.masked_fill(difference * order > 0, 0);
    return masked_mean(error, (wanted_difference.abs() >= gap).logical_and(order != 0));
}

}  // namespace fmgs
