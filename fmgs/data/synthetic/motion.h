#pragma once
/// Poses of the synthetic capture, for a body of 24 joints in SMPL's order (further joints stay at
/// rest).
#include <fmgs/core/types.h>

namespace fmgs {

/// The capture's motion at time t, radians: one full turn over 2π, arms swung between hanging and
/// level, knees lifted in turn, trunk and head swayed. World: OpenCV axes (y down), so the root
/// rotation contains the half turn about x; at t = 0 the person faces a camera that looks along +z.
/// `origin`: [3], where joint 0 is to be on average. `rest`: [3] joint 0 at rest.
BodyPose turning_pose(double t, int64_t joint_count, const torch::Tensor& origin,
                      const torch::Tensor& rest);

/// Poses outside that motion: `k` of `count` figures with raised and bent arms, wide steps and
/// twists, seen from the front.
BodyPose dancing_pose(int64_t k, int64_t count, int64_t joint_count, const torch::Tensor& origin,
                      const torch::Tensor& rest);

}  // namespace fmgs
