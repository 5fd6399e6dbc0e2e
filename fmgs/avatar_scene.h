#pragma once
/// Where an avatar was seen, as its file keeps it.
#include <fmgs/core/io/safetensors.h>
#include <fmgs/core/types.h>

namespace fmgs {

/// Where an avatar was seen: what drawing and driving take from its capture.
struct AvatarScene {
    /// of the first training frame, with the low-pass that the avatar was trained with
    Camera camera;
    /// [3] median position of joint 0 over the training frames, world metres
    torch::Tensor root;
    /// [3] unit: up in the world
    torch::Tensor up;
    /// names of the F training frames
    std::vector<std::string> frames;
    /// [F,J,3] their poses as learned, axis-angle, radians
    torch::Tensor axis_angle;
    /// [F,3] metres
    torch::Tensor translation;
    /// modality → names of its channels, where they are known
    std::map<std::string, std::vector<std::string>> labels;

    /// The pose of training frame `k`. Error when there is none.
    BodyPose pose(int64_t k) const;
};

namespace detail {

/// Error that names what does not fit: shapes, J joints, values that are not finite, a camera
/// without a size, no frame.
void check_scene(const AvatarScene& scene, int64_t joints);
/// Adds the scene's tensors, and the rest of it as YAML under the key `scene`.
void put_scene(const AvatarScene& scene, TensorDict& tensors, Metadata& metadata);
/// The scene that put_scene stored, on `device`, checked. Error: something is missing, damaged or
/// does not fit; a tensor that is neither of the scene nor below `avatar.`.
AvatarScene get_scene(const TensorDict& tensors, const Metadata& metadata, int64_t joints,
                      torch::Device device);
/// The text of this key. Error when the metadata lack it.
const std::string& text_of(const Metadata& metadata, const std::string& key);

}  // namespace detail
}  // namespace fmgs
