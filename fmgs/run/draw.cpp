#include <fmgs/run/draw.h>

#include <fmgs/losses/normal.h>
#include <fmgs/raster/render.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace fmgs {

PosedSurfels posed_surfels(const Avatar& avatar, const Camera& camera, const BodyPose& pose) {
    const torch::NoGradGuard guard;
    const auto device = avatar->parts().surfels->position().device();
    return avatar.ptr()->forward(camera.to(device), pose.to(device)).posed();
}

Maps draw(const PosedSurfels& posed, const Camera& camera) {
    const torch::NoGradGuard guard;
    std::vector<std::string> names = {"alpha", "depth", "normal"};
    for (const auto& [name, feature] : posed.features)
        names.insert(name == "color" ? names.begin() : names.end(), name);
    return render(posed, camera.to(posed.center.device()), names).to(torch::kCPU);
}

Maps draw(const Avatar& avatar, const Camera& camera, const BodyPose& pose) {
    return draw(posed_surfels(avatar, camera, pose), camera);
}

Maps with_depth_normal(const Maps& maps, const Camera& camera) {
    Maps out;
    for (const auto& [name, map] : maps) {
        out.set(name, map);
        if (name != "normal") continue;
        const auto inside = maps.at("alpha")[0] > 0.5;
        out.set("depth_normal", normal_from_depth(maps.at("depth"), camera, inside).normal);
    }
    return out;
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

}  // namespace fmgs
