// What faces away from the camera: in depth and normals it counts by a share of its opacity.
#include <fmgs/avatar.h>
#include <fmgs/core/random.h>
#include <fmgs/raster/render.h>

#include "support/ball.h"
#include "support/gradcheck.h"
#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

Camera small_camera() {
    return {.rotation = torch::eye(3, torch::kDouble),
            .translation = torch::zeros({3}, torch::kDouble),
            .intrinsics = torch::tensor({30.0, 30.0, 8.0, 8.0}, torch::kDouble),
            .width = 16,
            .height = 16};
}

/// Wide discs that face the camera (-1) or away from it (1), at these depths.
PosedSurfels discs(const std::vector<double>& depths, const std::vector<double>& sides) {
    const auto n = static_cast<int64_t>(depths.size());
    PosedSurfels s;
    s.center = torch::zeros({n, 3}, torch::kDouble);
    s.center.select(1, 2).copy_(torch::tensor(depths, torch::kDouble));
    s.tangents =
        torch::eye(3, torch::kDouble).narrow(1, 0, 2).unsqueeze(0).repeat({n, 1, 1}).contiguous();
    s.normal = torch::zeros({n, 3}, torch::kDouble);
    s.normal.select(1, 2).copy_(torch::tensor(sides, torch::kDouble));
    s.opacity = torch::full({n, 1}, 0.6, torch::kDouble);
    s.features.set("color", torch::linspace(0.1, 0.9, 3 * n, torch::kDouble).view({n, 3}));
    return s;
}

double middle(const torch::Tensor& map) { return map[0][8][8].item<double>(); }

const std::vector<std::string> kAll = {"color", "depth", "alpha", "normal"};

}  // namespace

TEST_CASE("what faces away keeps a share of its opacity in depth and normals alone", "[far_side]") {
    const auto camera = small_camera();
    auto s = discs({2, 3}, {-1, 1});
    const auto both = render(s, camera, kAll);
    s.far_side = 0.1;
    const auto maps = render(s, camera, kAll);
    for (const char* name : {"color", "alpha"}) REQUIRE(torch::equal(maps.at(name), both.at(name)));
    REQUIRE(maps.begin()->first == "color");  // in the order asked for

    // The exponents of both discs at the middle of their pixel.
    const auto alpha = [](double z, double opacity) {
        const double u = 0.5 / 30 * z;
        return opacity * std::exp(-0.5 * 2 * u * u);
    };
    const double first = alpha(2, 0.6), second = alpha(3, 0.06) * (1 - first);
    REQUIRE(std::abs(middle(maps.at("depth")) - (2 * first + 3 * second) / (first + second)) <
            1e-9);
    const double full = alpha(3, 0.6) * (1 - first);
    REQUIRE(std::abs(middle(both.at("depth")) - (2 * first + 3 * full) / (first + full)) < 1e-9);

    // Where nothing faces the camera, the far side is the surface.
    auto alone = discs({3}, {1});
    alone.far_side = 0.02;
    const auto seen = render(alone, camera, {"depth", "normal"});
    REQUIRE(std::abs(middle(seen.at("depth")) - 3) < 1e-9);
    REQUIRE(std::abs(seen.at("normal")[2][8][8].item<double>() + 1) < 1e-6);
}

TEST_CASE("which side is seen is told by the line of sight", "[far_side]") {
    const auto camera = small_camera();
    auto s = discs({1, 2}, {-1, 1});
    // At the right border of the view the first disc is turned past the line of sight, yet its
    // normal still points against the camera's axis.
    s.center.select(1, 0).copy_(torch::tensor({0.25, 0.5}, torch::kDouble));
    s.normal[0].copy_(torch::tensor({0.8, 0.0, -0.1}, torch::kDouble) / std::sqrt(0.65));
    s.far_side = 0.02;
    const auto depth = render(s, camera, {"depth"}).at("depth");
    s.opacity = 0.02 * s.opacity;
    s.far_side = 1;
    REQUIRE(torch::equal(render(s, camera, {"depth"}).at("depth"), depth));
}

TEST_CASE("of a translucent ball the depth is that of its near side", "[far_side]") {
    const BodyModel body(ball_data(), torch::zeros({0}));
    auto options = ball_options();
    options.subdivisions = 2;
    options.surfels.initial_opacity = 0.7;
    auto camera = small_camera().to(torch::kFloat);
    const BodyPose pose{torch::eye(3).repeat({3, 1, 1}), torch::tensor({0.F, 0.F, 2.F})};
    const auto error = [&](double far_side) {
        options.surfels.far_side = far_side;
        const auto parts = paper_parts(body, options);
        const auto ball = template_surfels(*body, *parts.surfels, 2, pose);
        const auto maps = render(ball.posed(), camera, {"depth", "alpha"});
        // The front of a ball of radius ½ around (0,0,2), by the quadratic of its ray.
        const auto at = (torch::arange(16) + 0.5 - 8) / 30;
        const auto r2 = at.square().unsqueeze(0) + at.square().unsqueeze(1);
        const auto z = (2 - (4 - 3.75 * (1 + r2)).clamp_min(0).sqrt()) / (1 + r2);
        const auto inside = (r2 < 0.03).to(torch::kFloat);
        return (((maps.at("depth")[0] - z).abs() * inside).sum() / inside.sum()).item<double>();
    };
    REQUIRE(error(1) > 0.08);
    REQUIRE(error(0.02) < 0.04);
    options.surfels.free = true;  // has no inside
    REQUIRE(error(0.02) > 0.08);
}

TEST_CASE("gradients through both passes agree with finite differences", "[far_side]") {
    const auto camera = small_camera();
    auto s = discs({2, 2.3, 2.6, 3}, {-1, 1, -1, 1});
    s.tangents = 0.2 * s.tangents;
    auto noise = Random{.seed = 4}.generator("discs");
    const auto draws = [&](torch::IntArrayRef sizes) {
        return torch::randn(sizes, noise, torch::kDouble);
    };
    s.center.narrow(1, 0, 2).copy_(0.1 * draws({4, 2}));
    s.tangents = s.tangents + 0.03 * draws({4, 3, 2});
    s.far_side = 0.3;
    std::map<std::string, torch::Tensor> weights;
    for (const auto& name : kAll)
        weights[name] = draws({name == "color" || name == "normal" ? 3 : 1, 16, 16});
    const auto loss = [&](const std::vector<torch::Tensor>& inputs) {
        auto moved = s;
        moved.center = inputs[0];
        moved.tangents = inputs[1];
        moved.opacity = inputs[2];
        moved.normal = inputs[3];
        const auto maps = render(moved, camera, kAll);
        torch::Tensor sum = torch::zeros({}, torch::kDouble);
        for (const auto& [name, map] : maps) {
            // A normal where next to nothing is drawn is a quotient of nothings.
            sum = sum + (map * weights.at(name) * (maps.at("alpha") > 0.05)).sum();
        }
        return sum;
    };
    REQUIRE(gradient_error(loss, {s.center, s.tangents, s.opacity, s.normal}) < 1e-6);
}

TEST_CASE("routes keep their gradients apart in both passes", "[far_side]") {
    const auto camera = small_camera();
    const auto base = discs({2, 3}, {-1, 1});
    const auto leaves = [&] {
        auto s = base;
        s.far_side = 0.1;
        for (auto* x : {&s.center, &s.tangents, &s.opacity})
            *x = x->detach().clone().requires_grad_(true);
        return s;
    };
    const auto a = leaves(), b = leaves();
    const auto maps =
        render(std::vector<Route>{{a, {"color", "depth"}}, {b, {"alpha", "normal"}}}, camera);
    maps[0].at("depth").sum().backward({}, /*retain_graph=*/true);
    REQUIRE(a.opacity.grad().abs().max().item<double>() > 1e-3);
    REQUIRE((!b.opacity.grad().defined() || b.opacity.grad().abs().max().item<double>() == 0));
    maps[1].at("alpha").sum().backward();
    REQUIRE(b.opacity.grad().abs().max().item<double>() > 1e-3);
    const auto alone = leaves();
    render(alone, camera, {"depth"}).at("depth").sum().backward();
    REQUIRE_CLOSE(a.opacity.grad(), alone.opacity.grad(), 1e-12);
}

TEST_CASE("the surfels of an avatar carry its share, cut or not", "[far_side]") {
    auto options = ball_options();
    options.surfels.far_side = 0.25;
    Avatar avatar(paper_parts(BodyModel(ball_data(), torch::zeros({0})), options));
    const auto frame = ball_frame();
    const auto surfels = avatar->forward(frame.camera, frame.pose);
    REQUIRE(surfels.far_side == 0.25);
    REQUIRE(surfels.restricted(Reach::nothing()).far_side == 0.25);
    REQUIRE(surfels.posed().far_side == 0.25);
    REQUIRE(avatar->seen_from(surfels, frame.camera).posed().far_side == 0.25);
    REQUIRE(Surfels{}.far_side == 1);
    REQUIRE(AvatarOptions::before_all_keys().surfels.far_side == 1);
}
