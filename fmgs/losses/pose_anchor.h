#pragma once
/// Learned poses that stay near those of the file.
#include <fmgs/fields/pose_table.h>
#include <fmgs/losses/loss.h>

namespace fmgs {

/// pose_distance of the frame's pose and the one that it had in the file (HRAvatar's regulariser of
/// the jaw that its encoder reads). 0 for a frame that has no row.
class PoseAnchorLoss : public Loss {
  public:
    /// Error: null, or not one pose of the file for each row.
    PoseAnchorLoss(std::shared_ptr<PoseSource> poses, std::vector<BodyPose> file);
    torch::Tensor forward(const LossInput& input) override;

  private:
    std::shared_ptr<PoseSource> poses_;
    std::vector<BodyPose> file_;
};

}  // namespace fmgs
