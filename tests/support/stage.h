#pragma once
/// A small avatar with two modalities, a frame for all its losses, and options that pick terms.
#include <fmgs/avatar.h>
#include <fmgs/core/rotation.h>
#include <fmgs/losses/paper_objective.h>
#include <fmgs/losses/routes.h>

#include "support/losses.h"

namespace fmgs::test {

/// A ball of 128 faces on three joints: large, slanted, overlapping surfels (σ of some 4 px).
inline BodyModel ball() {
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
    return BodyModel(data, torch::zeros({0}), /*star_degrees=*/0);
}

struct Stage {
    Avatar avatar{nullptr};
    Frame frame;
    Random random{.seed = 5, .step = 11};
};

/// geometry_start: of the geometry field, fraction of the run.
inline Stage make_stage(double geometry_start = 0) {
    const HashGridOptions volume{.levels = 4,
                                 .features_per_level = 2,
                                 .base_resolution = 4,
                                 .finest_resolution = 16,
                                 .log2_hashmap_size = 10};
    AvatarOptions options;
    options.subdivisions = 0;
    options.geometry.start = geometry_start;
    options.geometry.volume = options.appearance.volume = options.skinning.volume = volume;
    options.skinning.hidden = options.geometry.hidden = 16;
    options.modalities = {
        {"semantic", {.volume = volume, .channels = 5, .hidden = 16, .folder = ""}},
        {"dino", {.volume = volume, .channels = 6, .hidden = 16, .folder = ""}}};
    Stage stage;
    stage.avatar = Avatar(paper_parts(ball(), options));
    torch::NoGradGuard guard;
    auto noise = Random{.seed = 9}.generator("heads");
    for (auto& p : stage.avatar->parameters())
        p.add_(0.1 * torch::randn(p.sizes(), noise, p.options().requires_grad(false)));

    constexpr int64_t kSize = 40;
    auto& frame = stage.frame;
    frame.name = "f0";
    frame.camera = {.rotation = torch::eye(3),
                    .translation = torch::zeros({3}),
                    .intrinsics = torch::tensor({70.f, 70.f, 20.f, 20.f}),
                    .width = kSize,
                    .height = kSize};
    frame.pose = {exp_map(0.3 * torch::randn({3, 3}, Random{.seed = 2}.generator("pose"),
                                             torch::TensorOptions())),
                  torch::tensor({0.f, 0.f, 2.f})};
    auto mask = torch::zeros({1, kSize, kSize});
    mask.narrow(1, 4, 32).narrow(2, 4, 32).fill_(1);
    auto normal = uniform({3, kSize, kSize}, -1, 1, 4);
    normal[2].fill_(-1);
    frame.maps = {{"color", uniform({3, kSize, kSize}, 0, 1, 2)},
                  {"mask", mask},
                  {"depth", uniform({1, kSize, kSize}, 1, 2, 3)},
                  {"normal", normal / normal.norm(2, 0, true)},
                  {"semantic", torch::randint(1, 5, {kSize, kSize},
                                              Random{.seed = 6}.generator("labels"), torch::kLong)},
                  {"dino", uniform({6, kSize, kSize}, -1, 1, 7)}};
    return stage;
}

inline Stage& stage() {
    static Stage instance = make_stage();
    return instance;
}

/// Visits the terms of the paper: f(name, term).
template <class F>
struct EachTerm {
    F f;
    template <class T>
    void group(const std::string& name, T& term, const std::string&) {
        f(name, term);
    }
    template <class M>
    void others(M&) {}
    void renamed(const std::string&, const std::string&) {}
};

inline ObjectiveOptions only(const std::vector<std::string>& names, const std::string& routing) {
    ObjectiveOptions options;
    options.routing = routing;
    EachTerm each{[&](const std::string& name, auto& term) {
        term.weight = std::find(names.begin(), names.end(), name) != names.end() ? 1.0 : 0.0;
    }};
    options.losses.visit(each);
    return options;
}

inline Term<MapLossOptions> map_term(double weight, const std::string& type,
                                     const std::string& map = "",
                                     std::vector<std::string> reaches = {}) {
    Term<MapLossOptions> term(weight);
    term.type = type;
    term.map = map;
    term.reaches = std::move(reaches);
    return term;
}

/// The rows of the table that a loss of the library has.
inline std::vector<std::string> table_rows() {
    std::vector<std::string> names;
    for (const auto& row : routing::kRows) {
        if (std::string(row.loss) != "lpips") names.push_back(row.loss);
    }
    return names;
}

}  // namespace fmgs::test
