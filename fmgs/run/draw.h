#pragma once
/// Drawing an avatar: one view, a turntable, a motion.
#include <fmgs/avatar_file.h>
#include <fmgs/baked_file.h>
#include <fmgs/data/motion.h>

#include <functional>

namespace fmgs {

/// The surfels of one view, without gradient, on the avatar's device. Camera and pose may be on
/// any.
PosedSurfels posed_surfels(const Avatar& avatar, const Camera& camera, const BodyPose& pose);
/// Their maps on the CPU: color, alpha, depth, normal and every
/// modality.
Maps draw(const PosedSurfels& posed, const Camera& camera);
/// Both in one.
Maps draw(const Avatar& avatar, const Camera& camera, const BodyPose& pose);

/// What drawing asks of an avatar, whether its file is a full or a baked one.
struct Drawable {
    std::shared_ptr<Body> body;
    AvatarScene scene;
    /// the surfels of one view, as posed_surfels finds them
    std::function<PosedSurfels(const Camera&, const BodyPose&)> surfels;
};
Drawable drawable(const SavedAvatar& saved);
Drawable drawable(const SavedBaked& saved);
/// Of either kind. Errors as load_avatar's and load_baked's.
Drawable load_drawable(const std::filesystem::path& file, torch::Device device = torch::kCPU);

/// A motion in the world of the capture: it starts where the person stood and faces the camera.
std::vector<BodyPose> placed(const Motion& motion, const AvatarScene& scene, const Body& body);

/// Whence an avatar is seen, and in which pose.
struct Shot {
    Camera camera;
    BodyPose pose;
};
/// `count` views around the first training pose, a full turn about the scene's up.
std::vector<Shot> turntable(const Drawable& avatar, int64_t count);
/// Every `stride`-th pose of a motion, at most `count`, seen by the training camera; the motion
/// starts where the person stood and faces the camera.
std::vector<Shot> follow(const Drawable& avatar, const Motion& motion, int64_t stride = 1,
                         int64_t count = INT64_MAX);

}  // namespace fmgs
