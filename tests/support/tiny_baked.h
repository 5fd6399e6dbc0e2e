#pragma once
/// Baked avatars with one surfel a face and one component, every number of them drawn from a seed.
#include <fmgs/baked_file.h>

#include "support/tiny_avatar.h"

namespace fmgs::test {

inline BakedAvatar drawn_baked(const BodyModel& body) {
    auto generator = Random{21}.generator("drawn_baked");
    const auto draw = [&](torch::IntArrayRef shape) {
        return torch::randn(shape, generator, torch::kFloat);
    };
    BakedParts parts;
    parts.body = body;
    const auto frames = face_frames(body->canonical());
    const int64_t n = frames.center.size(0), joints = body->joint_count();
    parts.center = frames.center;
    parts.frame = frames.rotation;
    parts.opacity = torch::sigmoid(draw({n, 1})) * 0.9 + 0.05;
    parts.bone_index = torch::randint(joints, {n, 4}, generator, torch::kLong);
    parts.bone_weight = torch::softmax(draw({n, 4}), 1);
    parts.labels = torch::arange(n) % 4;
    // Offsets, log scales, turns, colours.
    parts.mean = torch::cat({0.02 * draw({n, 1}), -1.6 + 0.2 * draw({n, 2}), 0.1 * draw({n, 3}),
                             torch::sigmoid(draw({n, 3}))},
                            1);
    parts.components = 0.05 * draw({1, n, parts.mean.size(1)});
    parts.projection = 0.3 * draw({9 * (joints - 1), 1});
    parts.bias = torch::zeros({1});
    return BakedAvatar(parts);
}

/// Of eight surfels on an octahedron with three joints.
inline SavedBaked tiny_baked() {
    return {drawn_baked(BodyModel(octahedron(), torch::zeros({0}))), tiny_avatar().scene};
}

}  // namespace fmgs::test
