#include <fmgs/data/check/capture_check.h>

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <numeric>
#include <span>

namespace fmgs {

namespace {

using Frames = std::vector<CheckedFrame>;

// Masks that say nothing.
bool check_masks(const Frames& frames, Findings& check) {
    std::vector<std::string> empty, full;
    for (const auto& frame : frames) {
        if (!frame.mask.any().item<bool>()) empty.push_back(frame.name);
        if (frame.mask.all().item<bool>()) full.push_back(frame.name);
    }
    check.add(
        "the mask of frame {} is empty: there is no person in it, or its values are not 0 and 255 "
        "(0 and 1, labels)",
        empty, frames.size());
    check.add("the mask of frame {} is full: all of the picture is the person", full,
              frames.size());
    return 2 * std::max(empty.size(), full.size()) <= frames.size();
}

std::string worst_frames(const Frames& frames, const MaskFit& fit) {
    std::vector<size_t> order(frames.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return fit.iou[a] < fit.iou[b]; });
    std::string text;
    for (size_t k = 0; k < std::min<size_t>(3, order.size()); ++k)
        text += fmt::format("{}'{}' {:.2f}", k == 0 ? "" : ", ", frames[order[k]].name,
                            fit.iou[order[k]]);
    return text;
}

std::string what_is_wrong(const Frames& frames, const MaskFit& fit) {
    if (fit.mean >= kPlausibleIou) return "body and masks would fit better";
    const auto is_empty = [](const torch::Tensor& mask) { return !mask.any().item<bool>(); };
    if (std::all_of(fit.silhouettes.begin(), fit.silhouettes.end(), is_empty))
        return "the body is in none of the pictures";
    return fmt::format(
        "the body is not where the masks are: their mean intersection over union is {:.2f}, "
        "captures that train well have {:g} or more (least: {})",
        fit.mean, kPlausibleIou, worst_frames(frames, fit));
}

// Whether body and masks go together so far that priors can be held against the body.
bool check_masks_fit(const BodyViewer& viewer, const Frames& frames, std::span<const Frame> all,
                     Findings& check) {
    constexpr double kRefused = 0.3;
    const auto fit = fit_masks(viewer, frames);
    check.lines.push_back(
        fmt::format("body and masks: mean intersection over union {:.2f} in {} frames; least: {}",
                    fit.mean, frames.size(), worst_frames(frames, fit)));
    const auto cause = find_cause(viewer, frames, fit, all);
    if (fit.mean >= kPlausibleIou && !cause) return true;
    const auto why =
        cause ? fmt::format("Probably {} (with that it would be {:.2f} instead of {:.2f})",
                            cause->text, cause->after, cause->before)
              : "None of the causes that were tried explains it: look at cameras, poses and betas";
    (fit.mean < kRefused ? check.problems : check.warnings)
        .push_back(fmt::format("{}. {}", what_is_wrong(frames, fit), why));
    return fit.mean >= kPlausibleIou;
}

}  // namespace

Findings check_capture(const Body& body, const Capture& capture) {
    auto check = check_frames(body, capture.splits.at("train"), capture.prior_format);
    check_betas(capture.betas, check);
    return check;
}

Findings check_frames(const Body& body, const FrameList& all, const PriorFormat& format) {
    const torch::NoGradGuard guard;
    Findings check;
    check_height(body, check);
    check_places(body, all.heads(), check);
    check_jumps(all.heads(), check);
    const auto chosen = checked_frames(all.size());
    Frames frames;
    for (size_t k = 0; k < chosen.size(); ++k) {
        all.expect({chosen.begin() + static_cast<std::ptrdiff_t>(k), chosen.end()});
        frames.push_back(thinned(all[chosen[k]]));
    }
    if (frames.empty() || !check_masks(frames, check)) return check;
    const BodyViewer viewer(body);
    if (!check_masks_fit(viewer, frames, all.heads(), check)) {
        check.lines.push_back(
            "priors: not checked, for the body that they would be held against is not where it "
            "should be");
        return check;
    }
    // Signs and polarity are the same in all frames.
    constexpr size_t kPriorFrames = 4;
    Frames few;
    for (size_t i = 0; i < std::min(kPriorFrames, frames.size()); ++i)
        few.push_back(frames[i * frames.size() / std::min(kPriorFrames, frames.size())]);
    for (const auto& prior : check_priors(body, viewer, few, format)) {
        check.lines.push_back(prior.line);
        if (!prior.contradiction.empty()) check.problems.push_back(prior.contradiction);
    }
    return check;
}

}  // namespace fmgs
