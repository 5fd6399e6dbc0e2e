#pragma once
/// Another light for a trained avatar.
#include <fmgs/avatar.h>
#include <fmgs/avatar_scene.h>

#include <filesystem>

namespace fmgs {

/// Is its appearance of materials?
bool has_light(const Avatar& avatar);

/// World → the frame of a light (fields/environment_light.h) whose up is the scene's and whose
/// middle is what the scene's camera looks at, levelled: [3,3].
torch::Tensor light_axes(const AvatarScene& scene);

/// Puts the avatar in the light of a panorama (read_radiance) that stands upright behind the
/// person, as bright as its own in the mean, and as coloured as the file has it. Error: an avatar
/// whose appearance is not of materials; as read_radiance.
void relight(const Avatar& avatar, const AvatarScene& scene, const std::filesystem::path& panorama);

/// Turns the avatar's light about the scene's up, right-handed. Error as relight's.
void turn_light(const Avatar& avatar, const AvatarScene& scene, double degrees);

}  // namespace fmgs
