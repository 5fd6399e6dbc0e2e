#pragma once
/// A baked avatar of eight surfels on an octahedron with three joints and one component, every
/// number of it drawn from a seed.
#include <fmgs/baked_file.h>

#include "support/tiny_avatar.h"

namespace fmgs::test {

inline SavedBaked tiny_baked() {
    auto generator = Random{21}.generator("tiny_baked");
    const auto draw = [&](torch::IntArrayRef shape) {
        return torch::randn(shape, generator, torch::kFloat);
    };
    BakedParts parts;
    parts.body = BodyModel(octahedron(), torch::zeros({0}));
    const auto frames = face_frames(parts.body->canonical());
    const int64_t n = frames.center.size(0), joints = parts.body->joint_count();
    parts.center = frames.center;
    parts.frame = frames.rotation;
    parts.opacity = torch::sigmoid(draw({n, 1})) * 0.9 + 0.05;
    parts.bone_index = torch::tensor({0L, 1L, 2L, 0L}).repeat({n, 1});
    parts.bone_weight = torch::softmax(draw({n, 4}), 1);
    parts.labels = torch::arange(n) % 4;
    // Offsets, log scales, turns, colours.
    parts.mean = torch::cat({0.02 * draw({n, 1}), -1.6 + 0.2 * draw({n, 2}), 0.1 * draw({n, 3}),
                             torch::sigmoid(draw({n, 3}))},
                            1);
    parts.components = 0.05 * draw({1, n, parts.mean.size(1)});
    parts.projection = 0.3 * draw({9 * (joints - 1), 1});
    parts.bias = torch::zeros({1});
    return {BakedAvatar(parts), tiny_avatar().scene};
}

}  // namespace fmgs::test
