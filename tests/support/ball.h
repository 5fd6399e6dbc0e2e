#pragma once
/// A ball of 128 faces on three joints, and a frame of noise for it: large, slanted, overlapping
/// surfels (σ of some 4 px) for tests of gradients.
#include <fmgs/avatar.h>
#include <fmgs/core/rotation.h>

#include "support/test.h"

namespace fmgs::test {

inline BodyData ball_data() {
    Mesh mesh{
        torch::tensor({1., 0., 0., -1., 0., 0., 0., 1., 0., 0., -1., 0., 0., 0., 1., 0., 0., -1.})
            .view({6, 3}),
        torch::tensor({0, 2, 4, 2, 1, 4, 1, 3, 4, 3, 0, 4, 2, 0, 5, 1, 2, 5, 3, 1, 5, 0, 3, 5})
            .view({8, 3})};
    for (int k = 0; k < 2; ++k) {
        mesh = subdivide(mesh).mesh;
        mesh.vertices = mesh.vertices / mesh.vertices.norm(2, 1, true);
    }
    BodyData data;
    data.vertices = (0.5 * mesh.vertices).to(torch::kFloat);
    data.faces = mesh.faces;
    const int64_t count = data.vertices.size(0);
    data.weights = torch::softmax(4 * data.vertices, 1);
    data.joint_regressor = torch::softmax(6 * data.vertices.t(), 1);
    data.parents = torch::tensor({-1, 0, 1}, torch::kLong);
    data.shape_directions = torch::zeros({count, 3, 0});
    return data;
}

inline AvatarOptions ball_options() {
    const HashGridOptions volume{.levels = 4,
                                 .features_per_level = 2,
                                 .base_resolution = 4,
                                 .finest_resolution = 16,
                                 .log2_hashmap_size = 10};
    AvatarOptions options;
    options.subdivisions = 0;
    options.geometry.volume = options.appearance.volume = options.skinning.volume = volume;
    options.skinning.hidden = options.geometry.hidden = 16;
    options.modalities["semantic"].volume = volume;
    options.modalities["semantic"].channels = 5;
    options.modalities["semantic"].hidden = 16;
    return options;
}

/// Adds σ·N(0,1) to every parameter, so that no head is zero.
inline void perturb(torch::nn::Module& module, double sigma = 0.1) {
    torch::NoGradGuard guard;
    auto noise = Random{.seed = 9}.generator("heads");
    for (auto& p : module.parameters())
        p.add_(sigma * torch::randn(p.sizes(), noise, p.options().requires_grad(false)));
}

inline BodyPose ball_pose() {
    return {exp_map(0.3 * torch::randn({3, 3}, Random{.seed = 2}.generator("pose"),
                                       torch::TensorOptions())),
            torch::tensor({0.F, 0.F, 2.F})};
}

/// The ball two metres ahead, with targets of noise in a square picture.
inline Frame ball_frame(int64_t size = 40) {
    const auto noise = [&](int64_t channels, double low, double high, uint64_t seed) {
        return torch::rand({channels, size, size}, Random{.seed = seed}.generator("target"),
                           torch::kFloat) *
                   (high - low) +
               low;
    };
    const float half = 0.5F * float(size);
    Frame frame;
    frame.name = "f0";
    frame.camera = {.rotation = torch::eye(3),
                    .translation = torch::zeros({3}),
                    .intrinsics = torch::tensor({3.5F * half, 3.5F * half, half, half}),
                    .width = size,
                    .height = size};
    frame.pose = ball_pose();
    auto mask = torch::zeros({1, size, size});
    mask.narrow(1, size / 10, size * 8 / 10).narrow(2, size / 10, size * 8 / 10).fill_(1);
    auto normal = noise(3, -1, 1, 4);
    normal[2].fill_(-1);
    frame.maps = {
        {"color", noise(3, 0, 1, 2)},
        {"mask", mask},
        {"depth", noise(1, 1, 2, 3)},
        {"normal", normal / normal.norm(2, 0, true)},
        {"semantic",
         torch::randint(1, 5, {size, size}, Random{.seed = 6}.generator("labels"), torch::kLong)}};
    return frame;
}

}  // namespace fmgs::test
