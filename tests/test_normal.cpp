#include <fmgs/losses/normal.h>

#include "support/losses.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

// Depth of the plane n·x = d in this camera.
torch::Tensor plane_depth(const Camera& camera, const torch::Tensor& n, double d) {
    const auto k = camera.intrinsics;
    const auto x = (torch::arange(camera.width, kDoubles) + 0.5 - k[2]) / k[0];
    const auto y = ((torch::arange(camera.height, kDoubles) + 0.5 - k[3]) / k[1]).unsqueeze(1);
    return (d / (n[0] * x + n[1] * y + n[2])).unsqueeze(0);
}

torch::Tensor unit(const torch::Tensor& x) { return x / x.square().sum(0, true).sqrt(); }

}  // namespace

TEST_CASE("the normal of a plane's depth is the plane's, facing the viewer", "[losses]") {
    LossScene scene(7, 9);
    const auto n = unit(torch::tensor({0.3, -0.4, -1.0}, kDoubles));
    const auto depth = plane_depth(scene.frame.camera, n, -2.0);
    const auto found =
        normal_from_depth(depth, scene.frame.camera, torch::ones({7, 9}, torch::kBool));
    REQUIRE(found.valid.sum().item<int64_t>() == 35);
    const auto inner = found.normal.narrow(1, 1, 5).narrow(2, 1, 7);
    REQUIRE_CLOSE(inner, n.view({3, 1, 1}).expand_as(inner), 1e-12);
    REQUIRE(found.normal.masked_select(found.valid.logical_not()).abs().sum().item<double>() == 0);
}

TEST_CASE("a pixel outside takes its four neighbours with it", "[losses]") {
    LossScene scene(7, 9);
    auto inside = torch::ones({7, 9}, torch::kBool);
    inside[3][4] = false;
    const auto found =
        normal_from_depth(torch::ones({1, 7, 9}, kDoubles), scene.frame.camera, inside);
    REQUIRE(found.valid.sum().item<int64_t>() == 5 * 7 - 5);
    REQUIRE(normal_from_depth(torch::ones({1, 2, 9}, kDoubles), scene.frame.camera,
                              torch::ones({2, 9}, torch::kBool))
                .valid.sum()
                .item<int64_t>() == 0);
}

TEST_CASE("self-consistency: zero on the plane, a constant target unless it is live", "[losses]") {
    LossScene scene(6, 7);
    const auto n = unit(torch::tensor({0.3, -0.4, -1.0}, kDoubles));
    const auto depth = plane_depth(scene.frame.camera, n, -2.0);
    scene.rendered.set("depth", depth);
    scene.rendered.set("normal", n.view({3, 1, 1}).expand({3, 6, 7}));
    NormalConsistencyLoss fixed, live(true);
    REQUIRE(scene(fixed).item<double>() < 1e-12);
    scene.rendered.set("normal", (-n).view({3, 1, 1}).expand({3, 6, 7}));
    REQUIRE(scene(fixed).item<double>() == Approx(2 * n.abs().sum().item<double>()));

    const auto normal = unit(uniform({3, 6, 7}, -1, 1, 4));
    scene.rendered.set("depth", depth + uniform({1, 6, 7}, 0, 0.02, 5));
    REQUIRE(scene.map_gradient_error(fixed, "normal", normal) < 1e-8);
    REQUIRE(scene.map_gradient_error(live, "normal", normal) < 1e-8);
    scene.rendered.set("normal", normal);
    REQUIRE(scene.map_gradient_error(live, "depth", depth + uniform({1, 6, 7}, 0, 0.02, 5)) < 1e-6);
    scene.rendered.set("depth", depth.clone().requires_grad_(true));
    REQUIRE_FALSE(scene(fixed).requires_grad());
    REQUIRE(scene(live).requires_grad());
}

TEST_CASE("prior alignment: 0 when equal, 2 when opposite, valid pixels only", "[losses]") {
    LossScene scene(5, 6);
    const auto prior = unit(uniform({3, 5, 6}, -1, 1, 1));
    NormalLoss loss;
    scene.frame.maps.set("normal", 0.9 * prior);
    scene.rendered.set("normal", prior);
    REQUIRE(scene(loss).item<double>() < 1e-12);
    scene.rendered.set("normal", -prior);
    REQUIRE(scene(loss).item<double>() == Approx(2));
    auto holes = (0.9 * prior).clone();
    holes.select(2, 0).fill_(0);
    holes.select(2, 1).fill_(NAN);
    scene.frame.maps.set("normal", holes);
    REQUIRE(scene(loss).item<double>() == Approx(2));
    REQUIRE(scene.map_gradient_error(loss, "normal", unit(uniform({3, 5, 6}, -1, 1, 2))) < 1e-8);
    scene.rendered.set("normal", prior);
    REQUIRE(scene.silent_without_foreground(loss, "normal"));
}

TEST_CASE("total variation is the mean over neighbours that are both foreground", "[losses]") {
    LossScene scene(4, 5);
    NormalTvLoss loss;
    auto normal = torch::zeros({3, 4, 5}, kDoubles);
    normal.narrow(2, 2, 3).select(0, 0).fill_(1);  // one step between columns 1 and 2
    scene.rendered.set("normal", normal);
    REQUIRE(scene(loss).item<double>() == Approx(4.0 / (4 * 4 + 3 * 5)));
    auto mask = torch::ones({1, 4, 5}, kDoubles);
    mask.select(2, 2).fill_(0);  // cuts all pairs across the step
    scene.frame.maps.set("mask", mask);
    REQUIRE(scene(loss).item<double>() == 0);
    REQUIRE(scene.map_gradient_error(loss, "normal", uniform({3, 4, 5}, -1, 1, 3)) < 1e-8);
    REQUIRE(scene.silent_without_foreground(loss, "normal"));
}
