#include <fmgs/data/check/capture_check.h>

#include <fmgs/data/file_names.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <span>

namespace fmgs {

namespace {

using Frames = std::vector<CheckedFrame>;

void check_height(const Body& body, CaptureCheck& check) {
    constexpr double kSmallest = 1.2, kTallest = 2.3;
    const auto y = body.shaped().select(1, 1);
    const double height = (y.max() - y.min()).item<double>();
    check.lines.push_back(fmt::format("body: {:.2f} m tall", height));
    if (height >= kSmallest && height <= kTallest) return;
    for (const double factor : {10.0, 100.0, 1000.0}) {
        const bool is_large = height > kTallest;
        const double mended = is_large ? height / factor : height * factor;
        if (mended < kSmallest || mended > kTallest) continue;
        check.problems.push_back(
            fmt::format("the body is {:.3g} m tall, {:.2f} m if it were {} {:g}: bring the body's "
                        "vertices to metres",
                        height, mended, is_large ? "divided by" : "multiplied by", factor));
        return;
    }
    check.warnings.push_back(fmt::format(
        "the body is {:.2f} m tall, people are {:g} to {:g}: are the betas of another body?",
        height, kSmallest, kTallest));
}

// How far each pose is from the one `step` rows on: metres of the root, and radians of the joint
// that turns most, [F-step] each. rotations: [F,J,3,3], places: [F,3].
std::array<torch::Tensor, 2> distances(const torch::Tensor& rotations, const torch::Tensor& places,
                                       int64_t step) {
    const auto from = [&](const torch::Tensor& x) { return x.slice(0, 0, x.size(0) - step); };
    const auto to = [&](const torch::Tensor& x) { return x.slice(0, step); };
    const auto traces = (from(rotations) * to(rotations)).sum({2, 3});
    return {(to(places) - from(places)).norm(2, 1), ((traces.amin(1) - 1) / 2).clamp(-1, 1).acos()};
}

// A fit that failed in one frame: far from the frames before and after, which are near each other.
void check_jumps(std::span<const Frame> frames, CaptureCheck& check) {
    constexpr std::array<double, 2> kLeast{0.15, 0.6};  // metres, radians
    if (frames.size() < 3) return;
    std::vector<torch::Tensor> turns, moves;
    for (const auto& frame : frames) {
        if (frame.pose.bones.defined()) return;
        turns.push_back(frame.pose.rotations);
        moves.push_back(frame.pose.translation);
    }
    const auto rotations = torch::stack(turns), places = torch::stack(moves);
    const auto next = distances(rotations, places, 1), across = distances(rotations, places, 2);
    auto jumps = torch::zeros({across[0].size(0)}, torch::kBool);
    for (size_t k = 0; k < kLeast.size(); ++k) {
        const auto before = next[k].slice(0, 0, -1), after = next[k].slice(0, 1);
        jumps = jumps | (torch::min(before, after) > kLeast[k] + 2 * across[k]);
    }
    std::vector<std::string> names;
    for (size_t i = 0; i + 2 < frames.size(); ++i)
        if (jumps[static_cast<int64_t>(i)].item<bool>()) names.push_back(frames[i + 1].name);
    if (!names.empty())
        check.warnings.push_back(
            fmt::format("the pose jumps there and back in frame {}: has the fit failed there? "
                        "Leave such frames out, or "
                        "refine the poses with pose.learn=true",
                        some_of(names)));
}

// Masks that say nothing.
bool check_masks(const Frames& frames, CaptureCheck& check) {
    std::vector<std::string> empty, full;
    for (const auto& frame : frames) {
        if (!frame.mask.any().item<bool>()) empty.push_back(frame.name);
        if (frame.mask.all().item<bool>()) full.push_back(frame.name);
    }
    const auto say = [&](const std::vector<std::string>& names, const char* what) {
        if (names.empty()) return;
        auto& list = 2 * names.size() > frames.size() ? check.problems : check.warnings;
        list.push_back(fmt::format("the mask of frame {} is {}", some_of(names), what));
    };
    say(empty,
        "empty: there is no person in it, or its values are not 0 and 255 (0 and 1, labels)");
    say(full, "full: all of the picture is the person");
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
                     CaptureCheck& check) {
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

CaptureCheck check_capture(const Body& body, const Capture& capture) {
    return check_frames(body, capture.splits.at("train"), capture.prior_format);
}

CaptureCheck check_frames(const Body& body, const FrameList& all, const PriorFormat& format) {
    const torch::NoGradGuard guard;
    CaptureCheck check;
    check_height(body, check);
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
