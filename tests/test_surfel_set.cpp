#include <fmgs/core/random.h>
#include <fmgs/core/rotation.h>
#include <fmgs/core/surfel_set.h>

#include "support/test.h"

using namespace fmgs;

namespace {

Mesh tetrahedron() {
    return {torch::tensor({0.0f, 0.0f, 0.0f, 1.0f, 0.0f, 0.0f, 0.0f, 1.0f, 0.0f, 0.0f, 0.0f, 1.0f})
                .view({4, 3}),
            torch::tensor({0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3}, torch::kLong).view({4, 3})};
}

std::vector<std::string> names(const torch::OrderedDict<std::string, torch::Tensor>& tensors) {
    auto keys = tensors.keys();
    std::sort(keys.begin(), keys.end());
    return keys;
}

}  // namespace

TEST_CASE("a surfel starts as its face", "[surfel_set]") {
    const auto mesh = tetrahedron();
    const auto frames = face_frames(mesh);
    SurfelSet set(mesh, SurfelSetOptions{.initial_opacity = 0.8, .initial_scale = 0.5});
    REQUIRE(set->size() == 4);
    REQUIRE_CLOSE(set->position(), frames.center, 0.0);
    REQUIRE_CLOSE(set->rotation(), frames.rotation, 0.0);
    REQUIRE_CLOSE(set->normal(), face_normals(mesh), 1e-6);
    REQUIRE_CLOSE(set->scale(), 0.5 * frames.scale, 1e-6);
    REQUIRE_CLOSE(set->opacity(), torch::full({4, 1}, 0.8f), 1e-6);
}

TEST_CASE("scale and opacity are learned; position and rotation only when free", "[surfel_set]") {
    const auto mesh = tetrahedron();
    REQUIRE(names(SurfelSet(mesh)->named_parameters()) ==
            std::vector<std::string>{"log_scale", "opacity_logit"});
    SurfelSet fixed(mesh, SurfelSetOptions{.learn_opacity = false});
    REQUIRE(names(fixed->named_parameters()) == std::vector<std::string>{"log_scale"});
    REQUIRE(fixed->named_buffers().contains("opacity_logit"));
    SurfelSet free(mesh, SurfelSetOptions{.free = true});
    REQUIRE(names(free->named_parameters()) ==
            std::vector<std::string>{"log_scale", "offset", "opacity_logit", "turn"});
    (free->position().sum() + free->rotation().square().sum() + free->rotation().select(2, 0).sum())
        .backward();
    REQUIRE_CLOSE(free->named_parameters()["offset"].grad(), torch::ones({4, 3}), 0.0);
    REQUIRE(free->named_parameters()["turn"].grad().abs().sum().item<float>() > 0);
}

TEST_CASE("a free surfel turns about the axes of its own face", "[surfel_set]") {
    SurfelSet free(tetrahedron(), SurfelSetOptions{.free = true});
    const auto frame = free->rotation().detach().clone();
    const auto turn = torch::randn({4, 3}, Random{2}.generator("turn"), torch::kFloat);
    {
        const torch::NoGradGuard guard;
        free->named_parameters()["turn"].copy_(turn);
    }
    REQUIRE_CLOSE(free->rotation(), torch::matmul(frame, torch::matrix_exp(skew(turn))), 1e-5);
    REQUIRE_CLOSE(free->normal(), frame.select(2, 2), 0.0);
}

TEST_CASE("neighbours are the four nearest by canonical distance", "[surfel_set]") {
    const auto corners = torch::rand({90, 3}, Random{4}.generator("corners"), torch::kFloat);
    const SurfelSet set(Mesh{corners, torch::arange(90, torch::kLong).view({30, 3})});
    auto apart =
        torch::cdist(set->position().to(torch::kDouble), set->position().to(torch::kDouble));
    apart.fill_diagonal_(INFINITY);
    REQUIRE(torch::equal(set->neighbours(), std::get<1>(apart.topk(4, 1, /*largest=*/false))));
}

TEST_CASE("sets of fewer than five surfels repeat their neighbours", "[surfel_set]") {
    auto mesh = tetrahedron();
    const auto four = SurfelSet(mesh)->neighbours();
    REQUIRE(four.sizes() == torch::IntArrayRef({4, 4}));
    REQUIRE(torch::equal(four.select(1, 3), four.select(1, 0)));
    REQUIRE((four != torch::arange(4).unsqueeze(1)).all().item<bool>());
    mesh.faces = mesh.faces.slice(0, 0, 1);
    REQUIRE(torch::equal(SurfelSet(mesh)->neighbours(), torch::zeros({1, 4}, torch::kLong)));
}

TEST_CASE("a degenerate face gives a finite surfel", "[surfel_set]") {
    SurfelSet set(Mesh{torch::zeros({3, 3}), torch::tensor({{0, 1, 2}}, torch::kLong)});
    for (const auto& x : {set->position(), set->rotation(), set->named_parameters()["log_scale"]}) {
        REQUIRE(x.isfinite().all().item<bool>());
    }
}

TEST_CASE("impossible options are named", "[surfel_set]") {
    const auto make = [](SurfelSetOptions options) {
        return [=] { SurfelSet(tetrahedron(), options); };
    };
    REQUIRE(test::throws_error(make({.initial_opacity = 1}), "surfels.initial_opacity"));
    REQUIRE(test::throws_error(make({.initial_scale = 0}), "surfels.initial_scale"));
    REQUIRE(test::throws_error(
        [] {
            SurfelSet(Mesh{torch::zeros({3, 3}), torch::zeros({0, 3}, torch::kLong)});
        },
        "no face"));
}
