#include <fmgs/core/body_model.h>
#include <fmgs/losses/skin.h>

#include "support/losses.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

const SkinningFieldOptions kSmall{.volume = {.levels = 2,
                                             .features_per_level = 2,
                                             .base_resolution = 4,
                                             .finest_resolution = 8,
                                             .log2_hashmap_size = 8},
                                  .hidden = 8,
                                  .layers = 1};

torch::Tensor box() { return torch::tensor({-1.F, -1.F, -1.F, 2.F, 2.F, 2.F}).view({2, 3}); }

/// A quarter and a half of the first coordinate for the second joint, the rest for the first.
torch::Tensor slope(const torch::Tensor& x) {
    const auto second = 0.25 + 0.5 * x.select(1, 0);
    return torch::stack({1 - second, second}, 1);
}

struct SlopeField : SkinningFieldImpl {
    SlopeField() : SkinningFieldImpl(kSmall, box(), 2) {}
    torch::Tensor forward(const torch::Tensor& x) override { return slope(x); }
};

/// A tetrahedron on two joints whose weights follow the slope.
BodyModel tetrahedron() {
    BodyData data;
    data.vertices =
        torch::tensor({0.F, 0.F, 0.F, 1.F, 0.F, 0.F, 0.F, 1.F, 0.F, 0.F, 0.F, 1.F}).view({4, 3});
    data.faces = torch::tensor({0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3}, torch::kLong).view({4, 3});
    data.weights = slope(data.vertices);
    data.joint_regressor = torch::full({2, 4}, 0.25F);
    data.parents = torch::tensor({-1, 0}, torch::kLong);
    data.shape_directions = torch::zeros({4, 3, 0});
    return BodyModel(data, torch::zeros({0}));
}

}  // namespace

TEST_CASE("the skin loss compares the field with the weights of the same points", "[losses]") {
    const auto body = tetrahedron();
    LossScene scene(1, 1);
    SkinLoss exact(std::make_shared<SlopeField>(), body.ptr());
    REQUIRE(scene(exact).item<double>() < 1e-12);  // barycentric weights are linear in x

    struct Even : SlopeField {
        torch::Tensor forward(const torch::Tensor& x) override {
            return torch::full({x.size(0), 2}, 0.5, x.options());
        }
    };
    SkinLoss even(std::make_shared<Even>(), body.ptr(), 20000);
    // 2 E (w - ½)² = 2 E (x/2 - ¼)² = ½ (Var x + (E x - ½)²), by area over the four faces
    const double a = std::sqrt(3.0) / 2, area = 1.5 + a;
    // ∫x, ∫x² over a triangle of area A: A·mean of corners, A·(Σx_i² + (Σx_i)²)/12
    const double mean = (2 * 0.5 + a) / 3 / area;
    const double square = (2 * 0.5 + a) * 2 / 12 / area;
    REQUIRE(scene(even).item<double>() ==
            Approx(0.5 * (square - mean + 0.25)).epsilon(0.03));  // 20,000 draws
}

TEST_CASE("the skin loss reads the body as it is now, and owns nothing", "[losses]") {
    const auto body = tetrahedron();
    SkinLoss loss(std::make_shared<SlopeField>(), body.ptr());
    LossScene scene(1, 1);
    // as a checkpoint does it: the mesh half a metre on, the weights as they were
    body->named_buffers()["shaped"].add_(torch::tensor({0.5F, 0.F, 0.F}));
    REQUIRE(scene(loss).item<double>() == Approx(2 * 0.25 * 0.25).epsilon(1e-5));
    body->named_buffers()["weights"].copy_(slope(body->shaped()));
    REQUIRE(scene(loss).item<double>() < 1e-12);
    REQUIRE(loss.parameters().empty());
    REQUIRE(loss.buffers().empty());
}

TEST_CASE("the skin loss moves the field, with the same draws in the same step", "[losses]") {
    const auto body = tetrahedron();
    const auto field = std::make_shared<SkinningFieldImpl>(kSmall, box(), 2);
    SkinLoss loss(field, body.ptr());
    LossScene scene(1, 1);
    scene(loss).backward();
    double moved = 0;
    for (const auto& p : field->parameters())
        moved += p.grad().defined() ? p.grad().abs().sum().item<double>() : 0;
    REQUIRE(moved > 0);
    const double first = scene(loss).item<double>();
    REQUIRE(scene(loss).item<double>() == first);
    scene.random.step = 8;
    REQUIRE(scene(loss).item<double>() != first);
}

TEST_CASE("the skin loss refuses what is not there", "[losses]") {
    const auto body = tetrahedron();
    const auto field = std::make_shared<SlopeField>();
    REQUIRE(throws_error([&] { SkinLoss(nullptr, body.ptr()); }, "got null"));
    REQUIRE(throws_error([&] { SkinLoss(field, nullptr); }, "got null"));
    REQUIRE(throws_error([&] { SkinLoss(field, body.ptr(), 0); }, "at least one point"));
}
