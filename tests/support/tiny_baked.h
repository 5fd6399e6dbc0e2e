#pragma once
/// Baked avatars, every number of them drawn from a seed.
#include <fmgs/baked_file.h>

#include "support/tiny_avatar.h"

namespace fmgs::test {

/// `axes` of an offset: 1 or 3.
inline BakedParts drawn_parts(const BodyModel& body, int64_t subdivisions, int64_t components,
                              int64_t axes) {
    auto generator = Random{21}.generator("drawn_baked");
    const auto draw = [&](torch::IntArrayRef shape) {
        return torch::randn(shape, generator, torch::kFloat);
    };
    BakedParts parts;
    parts.body = body;
    parts.subdivisions = subdivisions;
    const auto frames = face_frames(canonical_template(*body, subdivisions).mesh);
    const int64_t n = frames.center.size(0), joints = body->joint_count();
    parts.center = frames.center;
    parts.frame = frames.rotation;
    parts.opacity = torch::sigmoid(draw({n, 1})) * 0.9 + 0.05;
    parts.bone_index = torch::randint(joints, {n, 4}, generator, torch::kLong);
    parts.bone_weight = torch::softmax(draw({n, 4}), 1);
    parts.labels = torch::arange(n) % 4;
    // Offsets, log scales, turns, colours.
    parts.mean = torch::cat({0.02 * draw({n, axes}), -1.6 + 0.2 * draw({n, 2}), 0.1 * draw({n, 3}),
                             torch::sigmoid(draw({n, 3}))},
                            1);
    parts.components = 0.05 * draw({components, n, parts.mean.size(1)});
    parts.projection = 0.3 * draw({9 * (joints - 1), components});
    parts.bias = 0.3 * draw({components});
    return parts;
}

/// With one surfel a face and one component.
inline BakedAvatar drawn_baked(const BodyModel& body) {
    return BakedAvatar(drawn_parts(body, 0, 1, 1));
}

/// Of eight surfels on an octahedron with three joints.
inline SavedBaked tiny_baked() {
    return {drawn_baked(BodyModel(octahedron(), torch::zeros({0}))), tiny_avatar().scene};
}

}  // namespace fmgs::test
