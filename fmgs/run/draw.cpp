#include <fmgs/run/draw.h>

#include <fmgs/core/check.h>
#include <fmgs/losses/normal.h>
#include <fmgs/raster/render.h>
#include <fmgs/run/relight.h>
#include <fmt/format.h>
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
    for (const auto& [name, shader] : posed.pixel_shaders)
        if (!posed.features.contains(name)) names.push_back(name);
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
    Drawable out{avatar->parts().body, saved.scene,
                 [avatar](const Camera& camera, const BodyPose& pose) {
                     return posed_surfels(avatar, camera, pose);
                 }};
    if (has_light(avatar)) {
        out.turn_light = [avatar, scene = saved.scene, turned = 0.0](double degrees) mutable {
            turn_light(avatar, scene, degrees - turned);
            turned = degrees;
        };
    }
    return out;
}

Drawable drawable(const SavedBaked& saved) {
    const auto& avatar = saved.avatar;
    return {avatar->body().ptr(),
            saved.scene,
            [avatar](const Camera&, const BodyPose& pose) {
                const torch::NoGradGuard guard;
                return avatar->forward(pose.to(avatar->parts().center.device()));
            },
            {}};
}

Drawable load_drawable(const std::filesystem::path& file, torch::Device device,
                       const std::filesystem::path& light) {
    if (is_baked_file(file)) {
        if (!light.empty())
            throw Error(fmt::format(
                "{}: a baked avatar has its colours with the light in them; draw the avatar that "
                "it was baked from",
                file.string()));
        return drawable(load_baked(file, device));
    }
    const auto saved = load_avatar(file, device);
    if (!light.empty()) relight(saved.avatar, saved.scene, light);
    return drawable(saved);
}

std::vector<BodyPose> placed(const Motion& motion, const AvatarScene& scene, const Body& body) {
    return place_motion(motion, scene.camera,
                        {.rest_root = body.joints()[0], .position = scene.root, .up = scene.up});
}

}  // namespace fmgs
