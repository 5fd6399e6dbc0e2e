#pragma once
/// The avatar as one file: all that drawing and driving it need, and nothing else on disk.
#include <fmgs/avatar.h>
#include <fmgs/avatar_scene.h>

#include <filesystem>

namespace fmgs {

struct SavedAvatar {
    Avatar avatar{nullptr};
    AvatarOptions options;
    AvatarScene scene;
};

/// The first part that is not exactly the paper's, by name; empty when there is none. A file holds
/// numbers: a part of one's own cannot be made from it.
std::string part_of_ones_own(const AvatarParts& parts);

/// Replaces `file` by one safetensors file, at once and whole: the avatar's parameters and buffers
/// under the names of a checkpoint's model, the scene's tensors, and as `__metadata__` the format
/// `fmgs-avatar 1`, the options (YAML, modalities included) and the rest of the scene
/// (docs/checkpoints.md lists them). `options`: those that the parts were made with, subdivisions
/// ≥ 0. Error: a part of one's own (save its tensors with write_safetensors); a scene whose
/// shapes do not fit; disk full.
void save_avatar(const std::filesystem::path& file, const Avatar& avatar,
                 const AvatarOptions& options, const AvatarScene& scene);
/// The avatar of such a file; every tensor is on `device`. It renders what the saved one renders,
/// to the bit, and is in eval() mode. Error naming the file: it is damaged, is something else (says
/// what), or is of a newer format (both versions are named). Options are checked against the file's
/// own tensors before anything of their size is allocated.
SavedAvatar load_avatar(const std::filesystem::path& file, torch::Device device = torch::kCPU);

}  // namespace fmgs
