#pragma once
/// An avatar of 32 surfels on an octahedron with three joints, every number of it drawn from a
/// seed: what an avatar file of a few kilobytes holds.
#include <fmgs/avatar_file.h>
#include <fmgs/core/random.h>

#include "support/test.h"

namespace fmgs::test {

inline BodyData octahedron() {
    BodyData body;
    body.vertices = torch::tensor({{0.3, 0.0, 0.0},
                                   {-0.3, 0.0, 0.0},
                                   {0.0, 0.5, 0.0},
                                   {0.0, -0.5, 0.0},
                                   {0.0, 0.0, 0.2},
                                   {0.0, 0.0, -0.2}},
                                  torch::kFloat);
    body.faces = torch::tensor(
        {{0, 2, 4}, {2, 1, 4}, {1, 3, 4}, {3, 0, 4}, {2, 0, 5}, {1, 2, 5}, {3, 1, 5}, {0, 3, 5}},
        torch::kLong);
    body.weights = torch::tensor({{0.6, 0.2, 0.2},
                                  {0.6, 0.2, 0.2},
                                  {0.1, 0.1, 0.8},
                                  {0.8, 0.1, 0.1},
                                  {0.3, 0.4, 0.3},
                                  {0.3, 0.4, 0.3}},
                                 torch::kFloat);
    body.joint_regressor = torch::tensor({{0.0, 0.0, 0.2, 0.6, 0.1, 0.1},
                                          {0.25, 0.25, 0.0, 0.0, 0.25, 0.25},
                                          {0.0, 0.0, 0.6, 0.2, 0.1, 0.1}},
                                         torch::kFloat);
    body.parents = torch::tensor({-1, 0, 1}, torch::kLong);
    body.shape_directions = torch::zeros({6, 3, 0});
    return body;
}

inline AvatarOptions tiny_options() {
    const HashGridOptions volume{.levels = 2,
                                 .features_per_level = 2,
                                 .base_resolution = 3,
                                 .finest_resolution = 6,
                                 .log2_hashmap_size = 6};
    AvatarOptions o;
    o.subdivisions = 1;
    o.encoder.width = 4;
    o.geometry.hidden = o.skinning.hidden = o.appearance.hidden = 8;
    o.geometry.layers = o.skinning.layers = 1;
    o.geometry.code = 4;
    o.geometry.volume = o.skinning.volume = o.appearance.volume = volume;
    for (const auto& [name, channels] : {std::pair{"semantic", 4}, std::pair{"dino", 3}}) {
        auto& modality = o.modalities[name];
        modality.channels = channels;
        modality.hidden = 8;
        modality.volume = volume;
    }
    return o;
}

/// With parameters far from where training starts: every field shows in the picture.
inline SavedAvatar tiny_avatar() {
    SavedAvatar out;
    out.options = tiny_options();
    const BodyModel body(octahedron(), torch::zeros({0}));
    out.avatar = Avatar(paper_parts(body, out.options, /*seed=*/3));
    auto generator = Random{11}.generator("tiny_avatar");
    {
        const torch::NoGradGuard guard;
        for (auto& parameter : out.avatar->parameters())
            parameter.add_(0.2 * torch::randn(parameter.sizes(), generator, torch::kFloat));
    }
    auto& scene = out.scene;
    scene.camera = Camera::look_at(torch::tensor({0.2F, 0.1F, 2.F}), torch::zeros({3}),
                                   torch::tensor({0.F, 1.F, 0.F}), 40, 24, 20);
    scene.camera.low_pass = 0.5;
    scene.root = torch::tensor({0.F, -0.2F, 0.F});
    scene.up = torch::tensor({0.F, 1.F, 0.F});
    scene.frames = {"image_0000", "image: \"0001\""};
    scene.axis_angle = 0.3 * torch::randn({2, 3, 3}, generator, torch::kFloat);
    scene.translation = 0.1 * torch::randn({2, 3}, generator, torch::kFloat);
    scene.labels["semantic"] = {"Background", "Hair", "Torso", "Ärmel"};
    return out;
}

inline void save(const std::filesystem::path& file, const SavedAvatar& saved) {
    save_avatar(file, saved.avatar, saved.options, saved.scene);
}

}  // namespace fmgs::test
