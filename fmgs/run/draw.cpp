#include <fmgs/run/draw.h>

#include <fmgs/raster/render.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <numbers>

namespace fmgs {

PosedSurfels posed_surfels(const Avatar& avatar, const Camera& camera, const BodyPose& pose) {
    const torch::NoGradGuard guard;
    const auto device = avatar->parts().surfels->position().device();
    return avatar.ptr()->forward(camera.to(device), pose.to(device)).posed();
}

Maps draw(const PosedSurfels& posed, const Camera& camera) {
    const torch::NoGradGuard guard;
    std::vector<std::string> names = {"alpha", "depth", "normal"};
    for (const auto& [name, feature] : posed.features) names.push_back(name);
    return render(posed, camera.to(posed.center.device()), names).to(torch::kCPU);
}

Maps draw(const Avatar& avatar, const Camera& camera, const BodyPose& pose) {
    return draw(posed_surfels(avatar, camera, pose), camera);
}

Drawable drawable(const SavedAvatar& saved) {
    const auto& avatar = saved.avatar;
    return {avatar->parts().body, saved.scene,
            [avatar](const Camera& camera, const BodyPose& pose) {
                return posed_surfels(avatar, camera, pose);
            }};
}

Drawable drawable(const SavedBaked& saved) {
    const auto& avatar = saved.avatar;
    return {avatar->body().ptr(), saved.scene, [avatar](const Camera&, const BodyPose& pose) {
                const torch::NoGradGuard guard;
                return avatar->forward(pose.to(avatar->parts().center.device()));
            }};
}

Drawable load_drawable(const std::filesystem::path& file, torch::Device device) {
    return is_baked_file(file) ? drawable(load_baked(file, device))
                               : drawable(load_avatar(file, device));
}

std::vector<BodyPose> placed(const Motion& motion, const AvatarScene& scene, const Body& body) {
    return place_motion(motion, scene.camera,
                        {.rest_root = body.joints()[0], .position = scene.root, .up = scene.up});
}

std::vector<Shot> turntable(const Drawable& avatar, int64_t count) {
    const auto& scene = avatar.scene;
    const auto pose = scene.pose(0);
    const auto pivot = pose.translation + avatar.body->joints()[0];
    std::vector<Shot> shots;
    for (int64_t k = 0; k < count; ++k) {
        const double angle =
            2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(count);
        shots.push_back({scene.camera.orbit(pivot, scene.up, angle), pose});
    }
    return shots;
}

std::vector<Shot> follow(const Drawable& avatar, const Motion& motion, int64_t stride,
                         int64_t count) {
    std::vector<Shot> shots;
    const auto poses = placed(motion, avatar.scene, *avatar.body);
    for (size_t k = 0; k < poses.size() && static_cast<int64_t>(shots.size()) < count;
         k += static_cast<size_t>(stride))
        shots.push_back({avatar.scene.camera, poses[k]});
    return shots;
}

}  // namespace fmgs
