#include <fmgs/data/up_axis.h>

#include <fmgs/core/check.h>
#include <fmgs/core/joints.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace fmgs {

namespace {

// Mean direction of the spine over the poses, [3], in length the share of time that it keeps it.
// At rest it is y, so that each of its joints turns y on.
torch::Tensor mean_spine(const std::vector<BodyPose>& poses) {
    auto mean = torch::zeros({3}, torch::kDouble);
    for (const auto& pose : poses) {
        const auto R = pose.rotations.to(torch::kCPU, torch::kDouble);
        auto turn = R[smpl::kPelvis];
        auto spine = turn.select(1, 1).clone();
        if (R.size(0) == smpl::kJoints) {
            for (const auto joint : {smpl::kSpine1, smpl::kSpine2, smpl::kSpine3}) {
                turn = torch::matmul(turn, R[joint]);
                spine += turn.select(1, 1);
            }
        }
        mean += spine / spine.norm().clamp_min(1e-6);
    }
    return mean / static_cast<double>(poses.size());
}

UpAxis axis_of(int64_t i, bool negative) {
    UpAxis out;
    out.up = torch::zeros({3});
    out.up[i] = negative ? -1 : 1;
    out.name = std::string(negative ? "-" : "") + "xyz"[i];
    return out;
}

}  // namespace

UpAxis find_up(const std::vector<BodyPose>& poses, const std::string& stated) {
    if (poses.empty()) throw Error("motion: expected at least one pose, got none");
    const auto spine = mean_spine(poses);
    const int64_t largest = spine.abs().argmax().item<int64_t>();
    const double share = spine[largest].item<double>();
    // Within 45 degrees of an axis on average; x is up nowhere, so that who keeps to it lies.
    const bool upright = largest != 0 && std::abs(share) > std::numbers::sqrt2 / 2;
    const auto by_spine = axis_of(largest, share < 0);
    if (stated.empty()) {
        auto out = by_spine;
        out.how = upright ? "by the spine"
                          : fmt::format("by the spine, which keeps to it by {:.0f} % only",
                                        100 * std::abs(share));
        return out;
    }
    const auto by_file = axis_of(stated == "z" ? 2 : 1, stated == "-y");
    if (upright && by_spine.name != by_file.name) {
        auto out = by_spine;
        out.how = fmt::format("by the spine, although {} was expected of the file", by_file.name);
        out.contradicted = true;
        return out;
    }
    auto out = by_file;
    out.how =
        upright ? "as the spine says, too" : "as expected of the file; the spine does not tell";
    return out;
}

}  // namespace fmgs
