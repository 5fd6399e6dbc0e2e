#pragma once
/// Poses of neighbouring frames: a smooth motion has little acceleration.
#include <fmgs/fields/pose_table.h>
#include <fmgs/losses/loss.h>

#include <array>

namespace fmgs {

/// Rows of the frames just before and after each frame in time; -1: there is none.
using TimeNeighbours = std::vector<std::array<int64_t, 2>>;

/// mean_j ½‖R_j - R′_j‖² + ‖t - t′‖²: for small angles the mean square of the joints' turns,
/// radians², and metres². Of values that are no rotations, too.
torch::Tensor pose_distance(const BodyPose& a, const BodyPose& b);

/// The pose_distance of the frame's pose and the mean of those just before and after it. Only the
/// frame's own pose is pulled; its neighbours are values. 0 for a frame that lacks one of them, or
/// has no row.
class PoseSmoothnessLoss : public Loss {
  public:
    /// Error: null, or not one pair of rows for each pose.
    PoseSmoothnessLoss(std::shared_ptr<PoseSource> poses, TimeNeighbours neighbours);
    torch::Tensor forward(const LossInput& input) override;

  private:
    std::shared_ptr<PoseSource> poses_;
    TimeNeighbours neighbours_;
};

}  // namespace fmgs
