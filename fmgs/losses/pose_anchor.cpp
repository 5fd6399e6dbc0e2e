#include <fmgs/losses/pose_anchor.h>

#include <fmgs/core/check.h>
#include <fmgs/losses/pose_smoothness.h>
#include <fmt/format.h>

namespace fmgs {

PoseAnchorLoss::PoseAnchorLoss(std::shared_ptr<PoseSource> poses, std::vector<BodyPose> file)
    : poses_(std::move(poses)), file_(std::move(file)) {
    if (!poses_) throw Error("pose anchor: expected poses, got null");
    if (std::ssize(file_) != poses_->size())
        throw Error(fmt::format("pose anchor: expected {} poses of the file, got {}",
                                poses_->size(), file_.size()));
}

torch::Tensor PoseAnchorLoss::forward(const LossInput& input) {
    const int64_t k = input.frame.index;
    if (k < 0 || k >= poses_->size()) return input.canonical.position.narrow(0, 0, 0).sum();
    const auto pose = poses_->forward(k);
    return pose_distance(pose, file_[static_cast<size_t>(k)]
                                   .to(pose.translation.device())
                                   .to(pose.translation.scalar_type()));
}

}  // namespace fmgs
