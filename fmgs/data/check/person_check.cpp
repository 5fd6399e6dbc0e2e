#include <fmgs/data/check/person_check.h>

#include <fmgs/data/file_names.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <array>

namespace fmgs {

namespace {

// How far each pose is from the one `step` rows on: metres of the root, and radians of the joint
// that turns most, [F-step] each. rotations: [F,J,3,3], places: [F,3].
std::array<torch::Tensor, 2> distances(const torch::Tensor& rotations, const torch::Tensor& places,
                                       int64_t step) {
    const auto from = [&](const torch::Tensor& x) { return x.slice(0, 0, x.size(0) - step); };
    const auto to = [&](const torch::Tensor& x) { return x.slice(0, step); };
    const auto traces = (from(rotations) * to(rotations)).sum({2, 3});
    return {(to(places) - from(places)).norm(2, 1), ((traces.amin(1) - 1) / 2).clamp(-1, 1).acos()};
}

}  // namespace

void Findings::add(const std::string& text, const std::vector<std::string>& frames, size_t all) {
    if (frames.empty()) return;
    (2 * frames.size() > all ? problems : warnings)
        .push_back(fmt::format(fmt::runtime(text), some_of(frames)));
}

void check_height(const Body& body, Findings& found) {
    constexpr double kSmallest = 1.2, kTallest = 2.3;
    const auto y = body.shaped().select(1, 1);
    const double height = (y.max() - y.min()).item<double>();
    found.lines.push_back(fmt::format("body: {:.2f} m tall", height));
    if (height >= kSmallest && height <= kTallest) return;
    for (const double factor : {10.0, 100.0, 1000.0}) {
        const bool is_large = height > kTallest;
        const double mended = is_large ? height / factor : height * factor;
        if (mended < kSmallest || mended > kTallest) continue;
        found.problems.push_back(
            fmt::format("the body is {:.3g} m tall, {:.2f} m if it were {} {:g}: bring the body's "
                        "vertices to metres",
                        height, mended, is_large ? "divided by" : "multiplied by", factor));
        return;
    }
    found.warnings.push_back(fmt::format(
        "the body is {:.2f} m tall, people are {:g} to {:g}: are the betas of another body?",
        height, kSmallest, kTallest));
}

void check_betas(const torch::Tensor& betas, Findings& found) {
    constexpr double kMost = 10;
    const double most = betas.numel() > 0 ? betas.abs().max().item<double>() : 0;
    if (most <= kMost) return;
    found.warnings.push_back(
        fmt::format("a beta is {:.3g}, and people have at most 5 or so: are the betas of another "
                    "body model (SMPL-X's with SMPL), or scaled? Fit the shape again, or leave the "
                    "betas out",
                    most));
}

void check_places(const Body& body, std::span<const Frame> frames, Findings& found) {
    constexpr double kNearest = 0.3, kFarthest = 30;  // metres
    std::vector<std::string> behind, near, far;
    double least = kFarthest, most = 0;
    for (const auto& frame : frames) {
        if (frame.pose.bones.defined()) return;
        const auto root = body.joints()[0] + frame.pose.translation;
        const auto at = torch::mv(frame.camera.rotation, root) + frame.camera.translation;
        const double distance = at.norm().item<double>();
        least = std::min(least, distance);
        most = std::max(most, distance);
        if (distance < kNearest)
            near.push_back(frame.name);
        else if (at[2].item<double>() <= 0)
            behind.push_back(frame.name);
        else if (distance > kFarthest)
            far.push_back(frame.name);
    }
    if (most > 0)
        found.lines.push_back(
            fmt::format("person: {:.2f} to {:.2f} m from the camera", least, most));
    found.add(
        "the person is behind the camera in frame {}: are the extrinsics camera → world, or "
        "of other axes than OpenCV's?",
        behind, frames.size());
    found.add(
        "the person is where the camera is in frame {}: are the translations missing (all "
        "0), or in kilometres?",
        near, frames.size());
    found.add(
        "the person is more than 30 m from the camera in frame {}: are the translations in "
        "decimetres or centimetres, or the cameras' of another scale?",
        far, frames.size());
}

void check_jumps(std::span<const Frame> frames, Findings& found) {
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
        found.warnings.push_back(
            fmt::format("the pose jumps there and back in frame {}: has the fit failed there? "
                        "Leave such frames out, or "
                        "refine the poses with pose.learn=true",
                        some_of(names)));
}

}  // namespace fmgs
