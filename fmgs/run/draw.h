#pragma once
/// Drawing an avatar: one view of it in one pose.
#include <fmgs/avatar_file.h>
#include <fmgs/baked_file.h>
#include <fmgs/data/motion.h>

#include <functional>

namespace fmgs {

/// The surfels of one view, without gradient, on the avatar's device. Camera and pose may be on
/// any.
PosedSurfels posed_surfels(const Avatar& avatar, const Camera& camera, const BodyPose& pose);
/// Their maps on the CPU: color, alpha, depth, normal and every other modality.
Maps draw(const PosedSurfels& posed, const Camera& camera);
/// Both in one.
Maps draw(const Avatar& avatar, const Camera& camera, const BodyPose& pose);

/// The same maps and depth_normal [3,H,W] (Fig. 3d) behind normal: the normals of the rendered
/// depth as a map of normals is, 0 where there are none (normal_from_depth).
Maps with_depth_normal(const Maps& maps, const Camera& camera);

/// What drawing asks of an avatar, whether its file is a full or a baked one.
struct Drawable {
    std::shared_ptr<Body> body;
    AvatarScene scene;
    /// the surfels of one view, as posed_surfels finds them
    std::function<PosedSurfels(const Camera&, const BodyPose&)> surfels;
    /// turns the light about `up` by so many degrees from where it was; null where there is none
    std::function<void(double)> turn_light{};
};
Drawable drawable(const SavedAvatar& saved);
Drawable drawable(const SavedBaked& saved);
/// Of either kind, in the light of a Radiance .hdr where one is given. Errors as load_avatar's,
/// load_baked's and relight's.
Drawable load_drawable(const std::filesystem::path& file, torch::Device device = torch::kCPU,
                       const std::filesystem::path& light = {});

/// A motion in the world of the capture: it starts where the person stood and faces the camera.
std::vector<BodyPose> placed(const Motion& motion, const AvatarScene& scene, const Body& body);

}  // namespace fmgs
