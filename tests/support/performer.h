#pragma once
/// A small baked avatar with a scene and poses: what a page plays.
#include <fmgs/core/rotation.h>
#include <fmgs/run/player.h>

#include "support/tiny_avatar.h"

namespace fmgs::test {

struct Subject {
    BakedAvatar avatar{nullptr};
    AvatarScene scene;
    Performance performance;
};

/// 32 surfels on an octahedron, every number drawn from a seed; `axes` of an offset, 1 or 3.
inline Subject subject(int64_t axes) {
    auto generator = Random{7}.generator("player");
    const auto normal = [&](at::IntArrayRef sizes) {
        return torch::randn(sizes, generator, torch::kFloat);
    };
    const auto share = [&](at::IntArrayRef sizes) {
        return torch::rand(sizes, generator, torch::kFloat);
    };
    BakedParts parts;
    parts.body = BodyModel(octahedron(), torch::zeros({0}));
    parts.subdivisions = 1;
    parts.far_side = 0.02;
    parts.mip = true;
    const auto frames = face_frames(canonical_template(*parts.body, 1).mesh);
    const int64_t N = frames.center.size(0), K = 2, J = 3;
    parts.center = frames.center;
    parts.frame = frames.rotation;
    parts.opacity = 0.3 + 0.7 * share({N, 1});
    parts.bone_index = torch::randint(0, J, {N, 4}, generator, torch::kLong);
    const auto weight = share({N, 4});
    parts.bone_weight = weight / weight.sum(1, true);
    parts.labels = torch::randint(0, 4, {N}, generator, torch::kLong);
    parts.mean = torch::cat({0.02 * normal({N, axes}), frames.scale.log() + 0.3 * normal({N, 2}),
                             0.4 * normal({N, 3}), share({N, 3})},
                            1);
    parts.components = 0.05 * normal({K, N, axes + 8});
    parts.projection = 0.3 * normal({9 * (J - 1), K});
    parts.bias = 0.3 * normal({K});
    Subject out{BakedAvatar(parts), tiny_avatar().scene, {}};
    out.scene.camera =
        Camera::look_at(torch::tensor({0.4F, 0.3F, 2.F}), torch::tensor({0.F, 0.05F, 0.F}),
                        torch::tensor({0.F, 1.F, 0.F}), 420, 320, 240);
    for (int k = 0; k < 3; ++k)
        out.performance.poses.push_back({exp_map(0.5 * normal({J, 3})), 0.1 * normal({3})});
    return out;
}

}  // namespace fmgs::test
