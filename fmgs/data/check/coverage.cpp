#include <fmgs/data/check/coverage.h>

#include <fmgs/core/rotation.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fmgs {

namespace {

// Axis-angles of all joints but the root, [J-1,3].
torch::Tensor joint_angles(const Body& body, const Frame& frame) {
    return log_map(body.local_rotations(frame.pose).slice(0, 1).to(torch::kDouble).cpu());
}

// The rotation of the root alone, rest → world, [3,3].
torch::Tensor root_rotation(const Body& body, const BodyPose& pose) {
    return body.local_rotations(pose)[0].to(torch::kDouble).cpu();
}

}  // namespace

std::array<int64_t, 8> view_sectors(const Body& body, std::span<const Frame> frames) {
    std::array<int64_t, 8> counts{};
    for (const auto& frame : frames) {
        const auto person = body.posed(frame.pose).mean(0).to(torch::kDouble).cpu();
        const auto towards = frame.camera.center().to(torch::kDouble).cpu() - person;
        const auto seen = torch::mv(root_rotation(body, frame.pose).t(), towards);
        const double angle = std::atan2(seen[0].item<double>(), seen[2].item<double>());
        const double sector = std::round(angle / (std::numbers::pi / 4));
        ++counts[(static_cast<size_t>(static_cast<int64_t>(sector) + 8)) % 8];
    }
    return counts;
}

PoseReach pose_reach(const Body& body, std::span<const Frame> train,
                     std::span<const Frame> others) {
    PoseReach reach;
    if (train.empty() || others.empty() || body.joint_count() < 2) return reach;
    std::vector<torch::Tensor> seen;
    for (const auto& frame : train) seen.push_back(joint_angles(body, frame));
    const auto all = torch::stack(seen);
    const auto low = all.amin(0), high = all.amax(0);
    std::vector<double> outside;
    for (const auto& frame : others) {
        const auto x = joint_angles(body, frame);
        const auto away = torch::max(low - x, x - high).clamp_min(0).amax(1);
        const double degrees = away.max().item<double>() * 180 / std::numbers::pi;
        outside.push_back(degrees);
        if (degrees <= reach.largest) continue;
        reach.largest = degrees;
        reach.joint = away.argmax().item<int64_t>() + 1;
        reach.frame = frame.name;
    }
    std::nth_element(outside.begin(),
                     outside.begin() + static_cast<std::ptrdiff_t>(outside.size() / 2),
                     outside.end());
    reach.median = outside[outside.size() / 2];
    return reach;
}

}  // namespace fmgs
