#include <fmgs/run/relight.h>

#include <fmgs/core/check.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/radiance_file.h>
#include <fmgs/fields/material.h>
#include <torch/types.h>

#include <numbers>

namespace fmgs {
namespace {

/// Enough for a lamp to be a lamp; a learned light is coarser.
constexpr int64_t kRows = 32;

MaterialAppearanceImpl& material_of(const Avatar& avatar) {
    const auto own = std::dynamic_pointer_cast<MaterialAppearanceImpl>(avatar->parts().appearance);
    if (!own)
        throw Error(
            "light: this avatar has its colours with the light in them; only one of materials can "
            "be lit otherwise: train with avatar.appearance.type=material "
            "(configs/seminar/material.yaml)");
    return *own;
}

}  // namespace

bool has_light(const Avatar& avatar) {
    return std::dynamic_pointer_cast<MaterialAppearanceImpl>(avatar->parts().appearance) != nullptr;
}

torch::Tensor light_axes(const AvatarScene& scene) {
    const auto up = scene.up.to(torch::kCPU, torch::kDouble);
    const auto camera = scene.camera.rotation.to(torch::kCPU, torch::kDouble);
    const auto level = [&](const torch::Tensor& x) { return x - x.dot(up) * up; };
    auto ahead = level(camera[2]);
    if (ahead.norm().item<double>() < 1e-3) ahead = level(-camera[1]);  // it looks straight down
    const auto back = -ahead / ahead.norm();
    return torch::stack({torch::linalg_cross(up, back), up, back});
}

void relight(const Avatar& avatar, const AvatarScene& scene,
             const std::filesystem::path& panorama) {
    auto& appearance = material_of(avatar);
    const auto picture = read_radiance(panorama);
    EnvironmentLight light(kRows);
    const auto axes = light_axes(scene);
    light->set(picture, axes);
    const auto brightness = [](const EnvironmentLight& of) {
        return of->level().mean().item<double>();
    };
    light->set(picture * (brightness(appearance.light()) / brightness(light)), axes);
    const auto like = avatar->parts().surfels->center();
    light->to(like.device(), like.scalar_type());
    appearance.relight(light);
}

void turn_light(const Avatar& avatar, const AvatarScene& scene, double degrees) {
    const auto up = scene.up.to(torch::kCPU, torch::kDouble);
    material_of(avatar).light()->turn(
        exp_map((degrees * std::numbers::pi / 180 * up).unsqueeze(0))[0]);
}

}  // namespace fmgs
