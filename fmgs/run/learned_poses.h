#pragma once
/// What training does about learned poses: their own objective, a guard, and a report.
#include <fmgs/losses/objective.h>
#include <fmgs/losses/pose_smoothness.h>
#include <fmgs/run/run.h>

namespace fmgs {

/// Keeps, of every frame's poses so far, the one that shows pixels best that no loss sees.
///
/// A pose and an avatar that learn together explain the pixels that they are trained on, right or
/// wrong. So a few blocks of 8×8 pixels of each training frame, the same in every step, are hidden
/// from all losses: black in the target and in the rendering (Objective). At each of pose.checks
/// moments, evenly spread over the run with the last at its end, every frame is drawn in its pose
/// and in the one that was kept, by the avatar of that moment: errors of different moments cannot
/// be compared, since the avatar gets better. The pose with the smaller squared error on the hidden
/// pixels is the frame's pose from then on. The poses of the file are the first to be kept.
///
/// Where the file shows the hidden pixels of most frames as well, within 5 % of that error, its
/// poses are right: these frames rest in them from then on, and hide nothing any more. A pose that
/// was right moves only to explain what the avatar does not, folds of clothes say, which the fields
/// learn worse then.
///
/// What the others moved by on average along their lines of sight is taken back: a person that is a
/// little nearer and a little smaller is the same picture, and all frames would drift so.
class PoseGuard {
  public:
    /// Guards nothing.
    PoseGuard() = default;
    /// Guards the run's poses where they are learned, pose.checks and pose.held_out permitting.
    explicit PoseGuard(const Run& run);

    /// The frame without its hidden pixels: color, mask and the map `seen` [1,H,W] are 0 there. A
    /// frame that rests, when `step` steps are done, hides nothing any more.
    Frame hidden(const Frame& frame, int64_t step) const;
    /// Whether a check is due when `step` steps are done.
    bool due(int64_t step) const;
    /// Whether the pose of row `index` stays as it is in the file, when `step` steps are done.
    bool rests(int64_t index, int64_t step) const;
    /// A check of all frames at `progress` of the run; of poses that go back the first moments
    /// in `moments` (Optimizer::state) become 0. Returns how many went back.
    int64_t check(const Run& run, const FrameList& frames, const TensorDict& moments,
                  double progress);
    /// The poses that are kept, under poses.NAME.kept; empty where nothing is guarded.
    const TensorDict& state() const { return kept_; }
    /// To be called when others have written to state().
    void state_changed() { resting_.clear(); }

  private:
    torch::Tensor seen(const Frame& frame) const;
    const std::vector<bool>& resting() const;

    double share_ = 0;
    int64_t checks_ = 0, steps_ = 0, start_ = 0;
    int64_t first_ = 0;  // steps before the first check
    uint64_t seed_ = 0;
    TensorDict file_, kept_;             // rows of the pose table: file_ NAME, kept_ NAME.kept
    mutable std::vector<bool> resting_;  // by row: most are kept as in the file, and it is
};

/// The objective that poses are learned with: of the terms of `objective` the photometric and the
/// mask loss, which compare the person with what was seen; and, where pose.smoothness and
/// pose.anchor ask for them, PoseSmoothnessLoss and PoseAnchorLoss. Empty where poses are not
/// learned. Error when neither loss is there.
Objective pose_objective(const Run& run, const Objective& objective);
/// The surfels in the learned pose of row `index`, of which alone they carry a gradient.
Surfels still_surfels(const Run& run, const Surfels& surfels, int64_t index);

/// The frames before and after each of these in time, by the last number in their names: rows that
/// follow each other and are as far apart as the closest such are neighbours.
TimeNeighbours time_neighbours(std::span<const Frame> frames);

/// How far the training poses are from those of the capture.
struct PoseChange {
    double mean = 0;         ///< of all joints' positions in all frames, metres
    double worst = 0;        ///< the frame whose joints moved most, their mean, metres
    double root = 0;         ///< root orientation, mean, degrees
    double joints = 0;       ///< other joints' rotations, mean, degrees
    double translation = 0;  ///< mean, metres
    torch::Tensor drift;     ///< [3] mean move of all joints in all frames, metres
    int64_t still = 0;       ///< frames whose pose is the file's
};
PoseChange pose_change(const Run& run);
/// "poses: joints moved by 41.3 mm on average …", a line.
std::string pose_change_text(const Run& run);
/// Where poses are learned: how many frames of a split show a training pose and are drawn in it as
/// learned, a line. Empty where none is, and where poses are not learned.
std::string drawn_poses_text(const Run& run, const std::string& split);

}  // namespace fmgs
