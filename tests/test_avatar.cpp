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
    const auto bare = template_surfels(*body(), *avatar->parts().surfels, 0, pose);
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
        SurfelSet set(canonical_template(*model, 0).mesh, SurfelSetOptions{});
        const auto center = template_surfels(*model, *set, 0, pose).posed().center;
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
    const auto coarse_template = canonical_template(*body(), 0),
               fine = canonical_template(*body(), 1);
    REQUIRE(fine.mesh.faces.size(0) == 4 * coarse_template.mesh.faces.size(0));
    REQUIRE_CLOSE(fine.weights.sum(1), torch::ones({fine.weights.size(0)}), 1e-5);
}

TEST_CASE("a vertex in the middle of an edge has the mean weights of the edge's two ends",
          "[avatar]") {
    const auto coarse_template = canonical_template(*body(), 0),
               fine = canonical_template(*body(), 1);
    const int64_t old = coarse_template.weights.size(0);
    REQUIRE(torch::equal(fine.weights.slice(0, 0, old), coarse_template.weights));
    const auto ends = subdivide(coarse_template.mesh).parents.slice(0, old);
    const auto of = [&](int64_t end) {
        return coarse_template.weights.index_select(0, ends.select(1, end));
    };
    REQUIRE(test::distance(of(0), of(1)) > 0.05);
    REQUIRE_CLOSE(fine.weights.slice(0, old), 0.5 * (of(0) + of(1)), 1e-6);
}

TEST_CASE("a template is subdivided where the finer surfels still cover 0.8 pixels", "[avatar]") {
    const SurfelSetOptions options;
    const auto sigma = SurfelSet(canonical_template(*body(), 1).mesh, options)->scale();
    const double size = sigma.prod(1).sqrt().median().item<double>();
    const auto pose = bent_pose();
    auto view = camera();
    const auto depth = view.to_camera(body()->posed(pose)).select(1, 2).median().item<double>();
    for (const auto& [pixels, expected] : {std::pair(0.79, 0), std::pair(0.81, 1)}) {
        view.intrinsics[0] = pixels * depth / size;
        REQUIRE(choose_subdivisions(*body(), options, view, pose) == expected);
    }
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
    options.geometry.type = "none";
    Avatar avatar(paper_parts(body(), options));
    const auto surfels = avatar->forward(camera(), bent_pose());
    REQUIRE(torch::equal(surfels.position, avatar->parts().surfels->position()));
}

TEST_CASE("without the geometry field nobody owns weights for its code", "[avatar]") {
    auto options = small_options();
    options.geometry.type = "none";
    const auto count = [&] {
        return Avatar(paper_parts(body(), options))
            ->named_parameters()["appearance.mlp.weight0"]
            .size(1);
    };
    const auto without = count();
    options.geometry.type = "field";
    REQUIRE(count() - without == options.geometry.code);
}

TEST_CASE("a part of one's own owns what it uses and nothing else", "[avatar]") {
    struct OneTint : Appearance {
        torch::Tensor tint = register_parameter("tint", torch::tensor({0.F, 0.25F, 0.5F}));
        torch::Tensor forward(const FieldInput& input) override {
            return tint.expand({input.at.size(), 3});
        }
    };
    auto parts = paper_parts(body(), small_options());
    parts.appearance = std::make_shared<OneTint>();
    Avatar avatar(parts);
    REQUIRE(avatar->forward(camera(), bent_pose()).features.at("color").max().item<float>() ==
            0.5F);
    int64_t numbers = 0;
    for (const auto& p : grouped_parameters(*avatar)) {
        if (!p.name.starts_with("appearance.")) continue;
        REQUIRE(p.group == "network");
        numbers += p.tensor.numel();
    }
    REQUIRE(numbers == 3);
}

TEST_CASE("a body of one's own needs a template and bones", "[avatar]") {
    // A stick of two joints that slides: no SMPL, no rotations.
    struct Stick : Body {
        torch::Tensor vertices = register_buffer(
            "vertices", torch::tensor({{0.F, 0.F, 0.F}, {0.1F, 0.F, 0.F}, {0.F, 1.F, 0.1F}}));
        torch::Tensor tree = register_buffer("tree", torch::tensor({-1, 0}, torch::kLong));
        torch::Tensor rest =
            register_buffer("rest", torch::tensor({{0.F, 0.F, 0.F}, {0.F, 0.5F, 0.F}}));
        torch::Tensor share =
            register_buffer("share", torch::tensor({{1.F, 0.F}, {1.F, 0.F}, {0.F, 1.F}}));
        int64_t joint_count() const override { return 2; }
        const torch::Tensor& parents() const override { return tree; }
        const torch::Tensor& joints() const override { return rest; }
        const torch::Tensor& shaped() const override { return vertices; }
        const torch::Tensor& weights() const override { return share; }
        Mesh canonical() const override { return {vertices, torch::tensor({{0, 1, 2}})}; }
        torch::Tensor bones(const BodyPose& pose) const override { return pose.bones; }
    };
    auto options = small_options();
    const auto stick = std::make_shared<Stick>();
    Avatar avatar(paper_parts(stick, options));
    BodyPose pose;
    pose.bones = torch::eye(4).repeat({2, 1, 1});
    pose.bones.select(2, 3).narrow(1, 0, 3).fill_(0.25);
    const auto posed = avatar->forward(camera(), pose).posed();
    REQUIRE_CLOSE(posed.center, stick->vertices.mean(0, true) + 0.25, 1e-6);
    REQUIRE_CLOSE(stick->posed(pose), stick->vertices + 0.25, 1e-6);
}

TEST_CASE("a missing part is named", "[avatar]") {
    const auto whole = [] { return paper_parts(body(), small_options()); };
    const auto refused = [&](auto remove, const std::string& words) {
        auto parts = whole();
        remove(parts);
        return test::throws_error([&] { Avatar avatar(parts); }, words);
    };
    REQUIRE(refused([](auto& p) { p.body = nullptr; }, "AvatarParts::body: expected a part"));
    REQUIRE(refused([](auto& p) { p.surfels = nullptr; }, "AvatarParts::surfels"));
    REQUIRE(refused([](auto& p) { p.encoder = nullptr; }, "AvatarParts::encoder"));
    REQUIRE(refused([](auto& p) { p.skinning = nullptr; }, "AvatarParts::skinning"));
    REQUIRE(refused([](auto& p) { p.appearance = nullptr; }, "AvatarParts::appearance"));
    REQUIRE(refused([](auto& p) { p.features[0].second = nullptr; }, "features: 'semantic'"));
    REQUIRE(test::throws_error([] { paper_parts(std::shared_ptr<Body>(), small_options()); },
                               "expected a body, got none"));
}

TEST_CASE("a type of a part that does not exist is refused with those that do", "[avatar]") {
    const auto refused = [](auto change, const std::string& words) {
        auto options = small_options();
        change(options);
        return test::throws_error([&] { paper_parts(body(), options); }, words);
    };
    REQUIRE(refused([](auto& o) { o.geometry.type = "mesh"; },
                    "avatar.geometry.type: expected field or none, got 'mesh'"));
    REQUIRE(
        refused([](auto& o) { o.skinning.type = "smpl"; }, "avatar.skinning.type: expected field"));
    REQUIRE(refused([](auto& o) { o.appearance.type = ""; }, "avatar.appearance.type"));
    REQUIRE(refused([](auto& o) { o.encoder.type = "mlp"; }, "avatar.encoder.type: expected leap"));
    REQUIRE(
        refused([](auto& o) { o.modalities["semantic"].type = "x"; }, "modalities.semantic.type"));
}
