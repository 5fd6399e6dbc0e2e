// The low-pass keeps what a surfel adds up to (Mip-Splatting), or adds to it (2DGS).
#include <fmgs/avatar.h>
#include <fmgs/core/random.h>
#include <fmgs/raster/render.h>

#include "support/gradcheck.h"
#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

Camera camera_of(double low_pass) {
    return {.rotation = torch::eye(3, torch::kDouble),
            .translation = torch::zeros({3}, torch::kDouble),
            .intrinsics = torch::tensor({40.0, 50.0, 12.0, 11.0}, torch::kDouble),
            .width = 24,
            .height = 22,
            .low_pass = low_pass};
}

/// One surfel with these tangents, metres, about the middle of the picture.
PosedSurfels surfel(const torch::Tensor& tangents) {
    PosedSurfels s;
    s.center = torch::tensor({{0.02, -0.03, 2.0}}, torch::kDouble);
    s.tangents = tangents.to(torch::kDouble).view({1, 3, 2});
    s.normal = torch::tensor({{0.0, 0.0, -1.0}}, torch::kDouble);
    s.opacity = torch::full({1, 1}, 0.9, torch::kDouble);
    s.features.set("color", torch::ones({1, 3}, torch::kDouble));
    s.mip = true;
    return s;
}

/// Tangents of lengths u and v, turned about y by `angle` out of the picture's plane.
torch::Tensor turned(double u, double v, double angle) {
    return torch::tensor({{u * std::cos(angle), 0.0}, {0.0, v}, {u * std::sin(angle), 0.0}});
}

/// The root of det Σ / det(Σ + σ²I), Σ from finite differences of the projection.
double expected_share(const PosedSurfels& s, const Camera& camera) {
    const auto project = [&](double u, double v) {
        const auto p = s.center[0] + s.tangents[0].matmul(torch::tensor({u, v}, torch::kDouble));
        return camera.intrinsics.slice(0, 0, 2) * p.slice(0, 0, 2) / p[2];
    };
    const double h = 1e-4;
    const auto J = torch::stack(
        {(project(h, 0) - project(-h, 0)) / (2 * h), (project(0, h) - project(0, -h)) / (2 * h)},
        1);
    const auto sigma = J.matmul(J.t());
    const auto spread = sigma + camera.low_pass * camera.low_pass * torch::eye(2, torch::kDouble);
    return std::sqrt((torch::det(sigma) / torch::det(spread)).item<double>());
}

double total(const PosedSurfels& s, double low_pass) {
    return render(s, camera_of(low_pass), {"alpha"}).at("alpha").sum().item<double>();
}

}  // namespace

TEST_CASE("opacity falls by the area that the low-pass adds", "[mip]") {
    const auto camera = camera_of(0.7);
    const auto skewed = torch::tensor({{0.05, -0.03}, {0.02, 0.04}, {0.01, 0.03}});
    for (const auto& tangents : {turned(0.06, 0.03, 0), turned(0.06, 0.03, 0.6),
                                 turned(0.06, 0.03, 1.2), turned(0.06, 0.03, 1.5), skewed}) {
        const auto s = surfel(tangents);
        auto plain = s;
        plain.mip = false;
        plain.opacity = 0.9 * torch::full({1, 1}, expected_share(s, camera), torch::kDouble);
        const auto a = render(s, camera, {"alpha", "color"}),
                   b = render(plain, camera, {"alpha", "color"});
        CHECK((a.at("alpha") - b.at("alpha")).abs().max().item<double>() <= 1e-6);
        CHECK(a.at("color").max().item<double>() > 0.02);
    }
    // Seen exactly edge-on it covers nothing, and nothing is drawn.
    auto edge = surfel(turned(0.06, 0.03, 0));
    edge.tangents.select(2, 0).copy_(0.03 * edge.center);
    CHECK(render(edge, camera, {"alpha"}).at("alpha").max().item<double>() == 0);
    edge.mip = false;
    CHECK(render(edge, camera, {"alpha"}).at("alpha").max().item<double>() > 0.5);
}

TEST_CASE("a surfel smaller than the low-pass adds up to what it covers", "[mip]") {
    auto s = surfel(turned(0.015, 0.015, 0));  // 0.3 and 0.375 pixels
    const double narrow = total(s, 0.8), wide = total(s, 1.6);
    CHECK(narrow == Approx(2 * M_PI * 0.9 * 0.3 * 0.375).epsilon(0.25));
    CHECK(wide == Approx(narrow).epsilon(0.25));
    s.mip = false;
    CHECK(total(s, 1.6) > 3 * total(s, 0.8));
}

TEST_CASE("a surfel larger than the low-pass is hardly changed", "[mip]") {
    auto s = surfel(turned(0.25, 0.2, 0.2));
    const double with = total(s, 0.35);
    s.mip = false;
    CHECK(with == Approx(total(s, 0.35)).epsilon(0.02));
    CHECK(with < total(s, 0.35));
}

TEST_CASE("gradients through the share agree with finite differences", "[mip]") {
    const auto camera = camera_of(0.6);
    auto noise = Random{.seed = 5}.generator("surfels");
    const auto draws = [&](torch::IntArrayRef sizes) {
        return torch::randn(sizes, noise, torch::kDouble);
    };
    PosedSurfels s;
    s.center = torch::tensor({0.0, 0.0, 2.0}, torch::kDouble) + 0.08 * draws({5, 3});
    s.tangents = 0.04 * draws({5, 3, 2});
    s.normal = torch::tensor({0.0, 0.0, -1.0}, torch::kDouble).expand({5, 3}).contiguous();
    s.opacity = torch::rand({5, 1}, noise, torch::kDouble) * 0.5 + 0.4;
    s.features.set("color", draws({5, 3}));
    s.mip = true;
    const auto weights = draws({3, 22, 24});
    const auto loss = [&](const std::vector<torch::Tensor>& inputs) {
        auto moved = s;
        moved.center = inputs[0], moved.tangents = inputs[1], moved.opacity = inputs[2];
        return (render(moved, camera, {"color"}).at("color") * weights).sum();
    };
    CHECK(gradient_error(loss, {s.center, s.tangents, s.opacity}) < 1e-6);
}

TEST_CASE("tiles that were found before draw the same picture", "[mip]") {
    const auto camera = camera_of(0.5);
    const auto s = surfel(turned(0.05, 0.02, 1.3));
    const auto tiles = find_tiles(s, camera);
    CHECK(torch::equal(render(s, camera, {"color"}, &tiles).at("color"),
                       render(s, camera, {"color"}).at("color")));
}

TEST_CASE("who is drawn so says so", "[mip]") {
    CHECK_FALSE(Surfels{}.mip);
    CHECK_FALSE(PosedSurfels{}.mip);
    CHECK_FALSE(AvatarOptions::before_all_keys().surfels.mip);
    CHECK(SurfelSetOptions{}.mip);
    auto cut = Surfels{.position = torch::zeros({1, 3}),
                       .rotation = torch::eye(3).unsqueeze(0),
                       .scale = torch::ones({1, 2}),
                       .opacity = torch::ones({1, 1}),
                       .skinning = torch::ones({1, 1}),
                       .bones = torch::eye(4).unsqueeze(0)};
    cut.mip = true;
    CHECK(cut.restricted(Reach::nothing()).mip);
    CHECK(cut.posed().mip);
}
