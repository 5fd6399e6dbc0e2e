#include <fmgs/avatar.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/synthetic/procedural_body.h>

#include "support/test.h"

using namespace fmgs;

namespace {

HashGridOptions coarse() {
    return {.levels = 4,
            .features_per_level = 2,
            .base_resolution = 8,
            .finest_resolution = 32,
            .log2_hashmap_size = 12};
}

AvatarOptions small_options() {
    AvatarOptions o;
    o.subdivisions = 0;
    o.geometry.volume = o.appearance.volume = coarse();
    o.modalities["semantic"].volume = coarse();
    return o;
}

const BodyModel& body() {
    static const BodyModel model(procedural_body(), torch::zeros({0}));
    return model;
}

BodyPose bent_pose() {
    auto turns = 0.3 * torch::randn({body()->joint_count(), 3}, Random{3}.generator("pose"));
    return {exp_map(turns), torch::tensor({0.1, 0.2, 3.0})};
}

Camera camera() {
    return {.rotation = torch::diag(torch::tensor({1.f, -1.f, -1.f})),
            .translation = torch::tensor({0.f, 0.f, 6.f}),
            .intrinsics = torch::tensor({200.f, 200.f, 32.f, 32.f}),
            .width = 64,
            .height = 64};
}

}  // namespace

TEST_CASE("an untrained avatar is exactly the template", "[avatar]") {
    const auto options = small_options();
    Avatar avatar(paper_parts(body(), options));
    const auto pose = bent_pose();
    const auto surfels = avatar->forward(camera(), pose);
    const auto bare = template_surfels(body(), avatar->parts().surfels, 0, pose);
    REQUIRE(torch::equal(surfels.position, bare.position));
    REQUIRE(torch::equal(surfels.scale, bare.scale));
    REQUIRE(torch::equal(surfels.opacity, bare.opacity));
    REQUIRE_CLOSE(surfels.rotation, bare.rotation,
                  1e-6);  // measured 0 to 1.2e-7: a product with exp(0)
}

TEST_CASE("the posed template follows exact linear blend skinning", "[avatar]") {
    const auto pose = bent_pose();
    const auto miss = [&](double star_degrees, bool with_bend) {
        const BodyModel model(procedural_body(), torch::zeros({0}), star_degrees);
        SurfelSet set(canonical_template(model, 0).mesh, SurfelSetOptions{});
        const auto center = template_surfels(model, set, 0, pose).posed().center;
        const auto corners = [&](const torch::Tensor& x) {
            return x.index_select(0, model->faces().reshape({-1})).view({-1, 3, x.size(1)});
        };
        const auto w = corners(model->weights()), x = corners(model->canonical().vertices);
        // Where a face bends, its surfel and the middle of its corners differ by
        // Σ_i (w_i - w̄)·T·(x_i - x̄)/3.
        const auto turns = model->bones(pose).slice(1, 0, 3).slice(2, 0, 3);  // [J,3,3]
        const auto bend =
            torch::einsum("fij,jab,fib->fa", {w - w.mean(1, true), turns, x - x.mean(1, true)}) / 3;
        REQUIRE(bend.norm(2, 1).max().item<double>() > 5e-4);
        return (corners(model->posed(pose)).mean(1) - center - (with_bend ? bend : 0 * bend))
            .norm(2, 1);
    };
    REQUIRE(miss(0, true).max().item<double>() < 3e-6);     // metres; measured 8e-7
    REQUIRE(miss(30, false).mean().item<double>() < 5e-4);  // measured 3.9e-4
}

TEST_CASE("a subdivided template has four times the faces and weights that still sum to one",
          "[avatar]") {
    const auto coarse_template = canonical_template(body(), 0),
               fine = canonical_template(body(), 1);
    REQUIRE(fine.mesh.faces.size(0) == 4 * coarse_template.mesh.faces.size(0));
    REQUIRE_CLOSE(fine.weights.sum(1), torch::ones({fine.weights.size(0)}), 1e-5);
}

TEST_CASE(
    "training noise changes what is drawn only when it is asked for, and repeats by seed and step",
    "[avatar]") {
    Avatar avatar(paper_parts(body(), small_options()));
    for (auto& p : avatar->parameters()) {
        const torch::NoGradGuard guard;
        p.add_(0.05 * torch::randn(p.sizes(), Random{9}.generator("perturb")));
    }
    const auto color = [&](const Random* random) {
        return avatar->forward(camera(), bent_pose(), random).features.at("color");
    };
    const Random first{1, 4}, other{1, 5};
    REQUIRE(torch::equal(color(nullptr), color(nullptr)));
    REQUIRE(torch::equal(color(&first), color(&first)));
    REQUIRE_FALSE(torch::equal(color(&first), color(&other)));
}

TEST_CASE("an avatar without the geometry field keeps its surfels on the template", "[avatar]") {
    auto options = small_options();
    options.geometry_field = false;
    Avatar avatar(paper_parts(body(), options));
    const auto surfels = avatar->forward(camera(), bent_pose());
    REQUIRE(torch::equal(surfels.position, avatar->parts().surfels->position()));
}

TEST_CASE("a part can be replaced before the avatar is made", "[avatar]") {
    struct Grey : AppearanceFieldImpl {
        using AppearanceFieldImpl::AppearanceFieldImpl;
        torch::Tensor forward(const FixedPoints& at, const torch::Tensor&, const torch::Tensor&,
                              const torch::Tensor&, const Random*) override {
            return torch::full({at.size(), 3}, 0.25);
        }
    };
    const auto options = small_options();
    auto parts = paper_parts(body(), options);
    const auto box = padded_box(canonical_template(body(), 0).mesh.vertices);
    parts.appearance = std::make_shared<Grey>(options.appearance, box, 16, 16);
    Avatar avatar(parts);
    REQUIRE(avatar->forward(camera(), bent_pose()).features.at("color").max().item<float>() ==
            0.25f);
}
