#include <fmgs/losses/pose_smoothness.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

namespace fmgs {

torch::Tensor pose_distance(const BodyPose& a, const BodyPose& b) {
    return 0.5 * (a.rotations - b.rotations).square().sum({1, 2}).mean() +
           (a.translation - b.translation).square().sum();
}

PoseSmoothnessLoss::PoseSmoothnessLoss(std::shared_ptr<PoseSource> poses, TimeNeighbours neighbours)
    : poses_(std::move(poses)), neighbours_(std::move(neighbours)) {
    if (!poses_) throw Error("pose smoothness: expected poses, got null");
    if (static_cast<int64_t>(neighbours_.size()) != poses_->size())
        throw Error(fmt::format("pose smoothness: expected the neighbours of {} poses, got {}",
                                poses_->size(), neighbours_.size()));
}

torch::Tensor PoseSmoothnessLoss::forward(const LossInput& input) {
    const int64_t k = input.frame.index;
    if (k < 0 || k >= poses_->size()) return input.canonical.position.narrow(0, 0, 0).sum();
    const auto pose = poses_->forward(k);
    const auto [before, after] = neighbours_[static_cast<size_t>(k)];
    if (before < 0 || after < 0) return 0 * pose.translation.sum();
    const auto a = poses_->forward(before), b = poses_->forward(after);
    // The middle is a value: a step moves the pose of its own frame only.
    const auto turns = (0.5 * (a.rotations + b.rotations)).detach();      // likewise
    const auto place = (0.5 * (a.translation + b.translation)).detach();  // likewise
    return pose_distance(pose, {turns, place});
}

}  // namespace fmgs
