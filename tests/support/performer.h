#pragma once
/// A small baked avatar with a scene and poses: what a page plays.
#include <fmgs/core/rotation.h>
#include <fmgs/run/player.h>

#include "support/tiny_baked.h"

namespace fmgs::test {

struct Subject {
    BakedAvatar avatar{nullptr};
    AvatarScene scene;
    Performance performance;
};

/// 32 surfels on an octahedron, every number drawn from a seed; `axes` of an offset, 1 or 3.
inline Subject subject(int64_t axes) {
    auto parts = drawn_parts(BodyModel(octahedron(), torch::zeros({0})), 1, 2, axes);
    parts.far_side = 0.02;
    parts.mean.narrow(1, axes, 2) -= 1;  // smaller, so that they are told apart
    Subject out{BakedAvatar(parts), tiny_avatar().scene, {}};
    out.scene.camera =
        Camera::look_at(torch::tensor({0.4F, 0.3F, 2.F}), torch::tensor({0.F, 0.05F, 0.F}),
                        torch::tensor({0.F, 1.F, 0.F}), 420, 320, 240);
    auto generator = Random{7}.generator("player");
    for (int k = 0; k < 3; ++k)
        out.performance.poses.push_back(
            {exp_map(0.5 * torch::randn({3, 3}, generator, torch::kFloat)),
             0.1 * torch::randn({3}, generator, torch::kFloat)});
    return out;
}

}  // namespace fmgs::test
