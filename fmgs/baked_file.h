#pragma once
/// The baked avatar as one file, beside that of the full one (fmgs/avatar_file.h).
#include <fmgs/avatar_scene.h>
#include <fmgs/baked_avatar.h>

#include <filesystem>

namespace fmgs {

struct SavedBaked {
    BakedAvatar avatar{nullptr};
    AvatarScene scene;
};

/// Is this file a baked avatar, by the format that its header names? Error when it cannot be read.
bool is_baked_file(const std::filesystem::path& file);
/// Replaces `file` by one safetensors file, at once and whole: the numbers of BakedParts under
/// their names below `avatar.`, the body's below `avatar.body.`, the scene as an avatar file has
/// it, and as `__metadata__` the format `fmgs-baked 1` (docs/checkpoints.md). Error: a scene that
/// does not fit; disk full.
void save_baked(const std::filesystem::path& file, const BakedAvatar& avatar,
                const AvatarScene& scene);
/// The avatar of such a file; every tensor is on `device`. It renders what the saved one renders,
/// to the bit. Error naming the file: it is damaged, is something else (says what), or is of a
/// newer format (both versions are named).
SavedBaked load_baked(const std::filesystem::path& file, torch::Device device = torch::kCPU);

}  // namespace fmgs
