#include <fmgs/data/check/capture_check.h>

#include <fmgs/data/file_names.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <cmath>
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

// How far two poses are apart: metres of the root, and radians of the joint that turns most.
std::array<double, 2> distance(const BodyPose& a, const BodyPose& b) {
    const auto turn = torch::matmul(a.rotations.transpose(1, 2), b.rotations);
    const auto cosine = (turn.diagonal(0, 1, 2).sum(1) - 1) / 2;
    return {(a.translation - b.translation).norm().item<double>(),
            std::acos(std::clamp(cosine.min().item<double>(), -1.0, 1.0))};
}

// A fit that failed in one frame: far from the frames before and after, which are near each other.
void check_jumps(std::span<const Frame> poses, CaptureCheck& check) {
    constexpr std::array<double, 2> kLeast{0.15, 0.6};  // metres, radians
    std::vector<std::string> names;
    for (size_t i = 1; i + 1 < poses.size(); ++i) {
        if (poses[i].pose.bones.defined()) return;
        const auto before = distance(poses[i - 1].pose, poses[i].pose),
                   after = distance(poses[i].pose, poses[i + 1].pose),
                   across = distance(poses[i - 1].pose, poses[i + 1].pose);
        const auto jumps = [&](size_t k) {
            return std::min(before[k], after[k]) > kLeast[k] + 2 * across[k];
        };
        if (jumps(0) || jumps(1)) names.push_back(poses[i].name);
    }
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

// Whether body and masks go together so far that priors can be held against the body.
bool check_masks_fit(const BodyViewer& viewer, const Frames& frames, std::span<const Frame> all,
                     CaptureCheck& check) {
    constexpr double kRefused = 0.3;
    const auto fit = fit_masks(viewer, frames);
    const auto unseen = static_cast<size_t>(
        std::count_if(fit.silhouettes.begin(), fit.silhouettes.end(),
                      [](const auto& s) { return !s.template any().template item<bool>(); }));
    check.lines.push_back(
        fmt::format("body and masks: mean intersection over union {:.2f} in {} frames; least: {}",
                    fit.mean, frames.size(), worst_frames(frames, fit)));
    const auto cause = find_cause(viewer, frames, fit, all);
    if (fit.mean >= kPlausibleIou && !cause) return true;
    std::string text = unseen == frames.size()
                           ? "the body is in none of the pictures"
                           : fmt::format(
                                 "the body is not where the masks are: their mean intersection "
                                 "over union is {:.2f}, captures that train well have {:g} "
                                 "or more (least: {})",
                                 fit.mean, kPlausibleIou, worst_frames(frames, fit));
    if (fit.mean >= kPlausibleIou) text = "body and masks would fit better";
    text +=
        cause
            ? fmt::format(". Probably {} (with that it would be {:.2f} instead of {:.2f})",
                          cause->text, cause->after, cause->before)
            : ". None of the causes that were tried explains it: look at cameras, poses and betas";
    (fit.mean < kRefused ? check.problems : check.warnings).push_back(text);
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
