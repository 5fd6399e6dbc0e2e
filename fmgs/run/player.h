#pragma once
/// A page that plays a baked avatar: one HTML file that needs nothing beside it and no network. It
/// draws the surfels as the rasterizer does (docs/rasterizer.md), in WebGL 2.
#include <fmgs/avatar_scene.h>
#include <fmgs/baked_avatar.h>

namespace fmgs {

/// What a page plays.
struct Performance {
    std::vector<BodyPose> poses;  ///< at least one, in the scene's world
    double fps = 30;
};

/// The page, its frame, style and script being player.html beside this file, which the build
/// embeds. Canonical places, turns and mean attributes are stored in 16 bits and all else in 8,
/// each column over its own range, deflated. It begins as the scene's camera sees the first pose;
/// `#still&frame=N&view=color|normal|depth|labels` behind its address shows this one picture alone.
/// Error: no pose, or one that lacks rotations; more than 255 joints.
std::string player_page(const BakedAvatar& avatar, const AvatarScene& scene,
                        const Performance& performance, const std::string& title);

}  // namespace fmgs
