#pragma once
/// Poses of test pictures fitted to these pictures, as InstantAvatar and others do before they
/// measure.
#include <fmgs/run/run.h>

namespace fmgs {

/// The pose of a frame that take() returned, moved by eval.fit_epochs steps of Adam at
/// eval.fit_rate towards its picture and mask (L_c + L_m); the avatar does not move. Detached.
/// Error: the pose is given as bones.
BodyPose fit_test_pose(const Run& run, const Frame& taken);

}  // namespace fmgs
