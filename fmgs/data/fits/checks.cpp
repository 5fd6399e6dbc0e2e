#include <fmgs/data/fits/checks.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#include <algorithm>
#include <numbers>

namespace fmgs::detail {

const Track& choose_person(const Fit& fit, int64_t person, const std::string& what) {
    if (fit.people.empty())
        throw Error(fmt::format("{}: expected a person in at least one frame, got none ({})", what,
                                fit.layout));
    if (person < 0) {
        return *std::max_element(fit.people.begin(), fit.people.end(),
                                 [](const Track& a, const Track& b) {
                                     return a.rotations.size(0) < b.rotations.size(0);
                                 });
    }
    std::string names;
    for (size_t k = 0; k < fit.people.size(); ++k) {
        const auto name = fit.people[k].person.empty() ? std::to_string(k) : fit.people[k].person;
        if (name == std::to_string(person)) return fit.people[k];
        if (k < 40) names += (k ? ", " : "") + name;
    }
    throw Error(fmt::format("{}: there is no person {}; there are {}", what, person, names));
}

namespace {

void check_counts(const Track& track, const std::string& what) {
    const int64_t frames = track.rotations.size(0);
    if (frames == 0) throw Error(fmt::format("{}: expected at least one frame, got none", what));
    const auto same = [&](int64_t count, const char* name) {
        if (count != frames)
            throw Error(fmt::format("{}: rows that do not match: {} poses, {} {}", what, frames,
                                    count, name));
    };
    if (track.transl.defined()) same(track.transl.size(0), "translations");
    if (track.expression.defined()) same(track.expression.size(0), "expressions");
    if (!track.names.empty()) same(static_cast<int64_t>(track.names.size()), "frame_names");
    if (!track.frames.empty()) same(static_cast<int64_t>(track.frames.size()), "frame_ids");
    if (track.intrinsics.defined() && track.intrinsics.dim() == 3 && track.intrinsics.size(0) != 1)
        same(track.intrinsics.size(0), "intrinsics");
    for (size_t k = 1; k < track.frames.size(); ++k) {
        if (track.frames[k] <= track.frames[k - 1])
            throw Error(fmt::format("{}: expected frame numbers that ascend, got {} after {}", what,
                                    track.frames[k], track.frames[k - 1]));
    }
}

// Bodies are within reach of a camera or a stage: what is hundreds of metres away is in other
// units. The invented focal lengths of some fitters put people as much farther away.
std::string doubtful_length(const Track& track, const Fit& fit) {
    const double farther = std::max(1.0, fit.camera ? fit.camera->focal_per_longer : 1.0);
    const auto check = [&](const torch::Tensor& places, const char* name) -> std::string {
        const double median = places.norm(2, 1).median().item<double>();
        if (median <= 100 * farther) return {};
        return fmt::format(
            "{}: half of them are longer than {:.4g}, expected metres; these may be {}: divide "
            "by {}",
            name, median, median > 400 ? "millimetres" : "centimetres", median > 400 ? 1000 : 100);
    };
    if (track.extrinsic.defined())
        return check(track.extrinsic.slice(1, 0, 3).select(2, 3), "translations of cam_extrinsics");
    return track.transl.defined() ? check(track.transl, "translations") : std::string();
}

}  // namespace

std::string doubtful_angles(const torch::Tensor& rotations) {
    // Fits may turn a root on past π; nobody's joints turn twice.
    constexpr double kMost = 4 * std::numbers::pi;
    const auto angles = rotations.reshape({rotations.size(0), -1, 3}).norm(2, 2);
    const double median = angles.amax(1).median().item<double>();
    if (median <= kMost) return {};
    return fmt::format(
        "rotations: in half of the poses a joint is turned by more than {:.4g}, expected radians; "
        "these may be degrees: multiply by π/180",
        median);
}

void check_track(const Track& track, const Fit& fit, const std::string& what) {
    check_counts(track, what);
    auto doubts = doubtful_length(track, fit);
    if (track.betas.defined() && track.betas.numel() > 0) {
        const double largest = track.betas.abs().max().item<double>();
        if (largest > 20)
            doubts += fmt::format(
                "{}betas: the largest is {:.6g}, expected shape coefficients "
                "within ±20 (people are within ±5); these may be another "
                "quantity, or a fit that failed",
                doubts.empty() ? "" : "; ", largest);
    }
    if (const auto angles = doubtful_angles(track.rotations); !angles.empty())
        doubts += (doubts.empty() ? "" : "; ") + angles;
    if (!doubts.empty()) throw Error(fmt::format("{}: {}", what, doubts));
}

}  // namespace fmgs::detail
