#pragma once
/// Drawing an avatar: one view, a turntable, a motion.
#include <fmgs/avatar_file.h>
#include <fmgs/data/motion.h>

namespace fmgs {

/// The surfels of one view, without gradient, on the avatar's device. Camera and pose may be on
/// any.
PosedSurfels posed_surfels(const Avatar& avatar, const Camera& camera, const BodyPose& pose);
/// Their maps on the CPU: color, alpha, depth, normal and every
/// modality.
Maps draw(const PosedSurfels& posed, const Camera& camera);
/// Both in one.
Maps draw(const Avatar& avatar, const Camera& camera, const BodyPose& pose);

/// Whence an avatar is seen, and in which pose.
struct Shot {
    Camera camera;
    BodyPose pose;
};
/// `count` views around the first training pose, a full turn about the scene's up.
std::vector<Shot> turntable(const SavedAvatar& saved, int64_t count);
/// Every `stride`-th pose of a motion, at most `count`, seen by the training camera; the motion
/// starts where the person stood and faces the camera.
std::vector<Shot> follow(const SavedAvatar& saved, const Motion& motion, int64_t stride = 1,
                         int64_t count = INT64_MAX);

}  // namespace fmgs
