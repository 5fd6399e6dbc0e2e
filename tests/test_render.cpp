#include <fmgs/raster/render.h>

#include <functional>

#include "support/gradcheck.h"
#include "support/scenes.h"
#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

/// A rotation by `angle` about `axis`, double.
torch::Tensor turn(std::vector<double> axis, double angle) {
    auto a = torch::tensor(axis, torch::kDouble);
    a = a / a.norm() * angle;
    const auto zero = torch::zeros({}, torch::kDouble);
    const auto skew =
        torch::stack({zero, -a[2], a[1], a[2], zero, -a[0], -a[1], a[0], zero}).view({3, 3});
    return torch::matrix_exp(skew);
}

struct World {
    PosedSurfels surfels;
    Camera camera;
};

/// The random scene put into a world in which the camera is turned and moved.
World random_world(uint64_t seed, int64_t n = 60, double small = 0.8) {
    const auto scene = random_scene(seed, n, 3, 30, 26, small, 4);
    World w;
    w.camera.rotation = turn({1, 2, -1}, 0.8);
    w.camera.translation = torch::tensor({0.3, -0.2, 0.5}, torch::kDouble);
    w.camera.intrinsics = scene.intrinsics;
    w.camera.width = scene.width;
    w.camera.height = scene.height;
    const auto back = w.camera.rotation.t();
    w.surfels.center = torch::matmul(scene.center - w.camera.translation, back.t());
    w.surfels.tangents = torch::matmul(back, scene.tangents);
    const auto normal =
        torch::cross(w.surfels.tangents.select(2, 0), w.surfels.tangents.select(2, 1), 1);
    w.surfels.normal = normal / normal.norm(2, 1, true);
    w.surfels.opacity = scene.opacity;
    w.surfels.features.set("color", scene.features);
    w.surfels.features.set("semantic", torch::cat({scene.features.sin(), scene.features}, 1));
    return w;
}

const std::vector<std::string> kNames = {"color", "alpha", "depth", "normal", "semantic"};

torch::Tensor probe(const Maps& maps, uint64_t seed = 3) {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    torch::Tensor sum = torch::zeros({}, torch::kDouble);
    for (const auto& [name, map] : maps) {
        // Where next to nothing is drawn a normal is a quotient of nothings.
        sum = sum + (map * torch::randn(map.sizes(), generator, torch::kDouble)).sum();
    }
    return sum;
}

PosedSurfels leaves(const PosedSurfels& s) {
    PosedSurfels out = s;
    for (auto* x : {&out.center, &out.tangents, &out.normal, &out.opacity})
        *x = x->detach().clone().requires_grad_(true);
    return out;
}

}  // namespace

TEST_CASE("a map has the shape of its name, in the order asked for", "[render]") {
    const auto w = random_world(1);
    const auto maps = render(w.surfels, w.camera, kNames);
    REQUIRE(maps.size() == 5);
    REQUIRE(maps.begin()->first == "color");
    REQUIRE(maps.at("color").sizes() == torch::IntArrayRef({3, 26, 30}));
    REQUIRE(maps.at("semantic").size(0) == 6);
    REQUIRE(maps.at("alpha").sizes() == torch::IntArrayRef({1, 26, 30}));
    REQUIRE(maps.at("depth").sizes() == torch::IntArrayRef({1, 26, 30}));
    REQUIRE(maps.at("normal").sizes() == torch::IntArrayRef({3, 26, 30}));
    REQUIRE(torch::equal(render(w.surfels, w.camera, {"alpha"}).at("alpha"), maps.at("alpha")));
    const auto tiles = find_tiles(w.surfels, w.camera);
    REQUIRE(
        torch::equal(render(w.surfels, w.camera, {"color"}, &tiles).at("color"), maps.at("color")));
}

TEST_CASE("normals are unit where drawn, zero elsewhere, and face the camera", "[render]") {
    const auto s = facing_surfel(3, 0.7);
    for (const double side : {1.0, -1.0}) {
        PosedSurfels surfels{
            s.center, s.tangents, torch::tensor({{0.0, 0.0, side}}, torch::kDouble), s.opacity, {}};
        const Camera camera{torch::eye(3, torch::kDouble), torch::zeros({3}, torch::kDouble),
                            s.intrinsics, s.width, s.height};
        const auto maps = render(surfels, camera, {"normal", "alpha", "depth"});
        const auto drawn = (maps.at("alpha") > 0).to(torch::kDouble);
        const auto expected =
            torch::tensor({0.0, 0.0, -1.0}, torch::kDouble).view({3, 1, 1}) * drawn;
        REQUIRE_CLOSE(maps.at("normal"), expected, 1e-7);  // measured 2e-8
        REQUIRE_CLOSE(maps.at("depth"), 2 * drawn, 1e-12);
    }
}

TEST_CASE("a normal is turned by the line of sight to its surfel, not by the camera's axis",
          "[render]") {
    // At the right border of the view; its normal points to the camera and away from the image.
    const auto normal = torch::tensor({{-0.9, 0.0, 0.3}}, torch::kDouble) / std::sqrt(0.9);
    const auto across = torch::tensor({0.3, 0.0, 0.9}, torch::kDouble) / std::sqrt(0.9),
               down = torch::tensor({0.0, 1.0, 0.0}, torch::kDouble);
    const Camera camera{.rotation = torch::eye(3, torch::kDouble),
                        .translation = torch::zeros({3}, torch::kDouble),
                        .intrinsics = torch::tensor({20.0, 20.0, 8.0, 8.0}, torch::kDouble),
                        .width = 32,
                        .height = 16};
    for (const double side : {1.0, -1.0}) {
        const PosedSurfels surfels{torch::tensor({{0.8, 0.0, 1.0}}, torch::kDouble),
                                   0.1 * torch::stack({across, side * down}, 1).unsqueeze(0),
                                   side * normal,
                                   torch::full({1, 1}, 0.8, torch::kDouble),
                                   {}};
        const auto maps = render(surfels, camera, {"normal", "alpha"});
        const auto drawn = (maps.at("alpha") > 0.1).to(torch::kDouble);
        REQUIRE(drawn.sum().item<double>() > 4);
        REQUIRE_CLOSE(maps.at("normal") * drawn, normal.view({3, 1, 1}) * drawn, 1e-9);
    }
}

TEST_CASE("moving world and camera together changes nothing", "[render]") {
    const auto w = random_world(2);
    auto moved = w;
    const auto rotation = turn({0, 1, 1}, 1.3);
    const auto shift = torch::tensor({0.4, 1.0, -2.0}, torch::kDouble);
    moved.surfels.center = torch::matmul(w.surfels.center, rotation.t()) + shift;
    moved.surfels.tangents = torch::matmul(rotation, w.surfels.tangents);
    moved.surfels.normal = torch::matmul(w.surfels.normal, rotation.t());
    moved.camera.rotation = torch::matmul(w.camera.rotation, rotation.t());
    moved.camera.translation = w.camera.translation - torch::mv(moved.camera.rotation, shift);
    const auto a = render(w.surfels, w.camera, kNames),
               b = render(moved.surfels, moved.camera, kNames);
    for (const auto& [name, map] : a) REQUIRE_CLOSE(b.at(name), map, 1e-11);
}

TEST_CASE("moving the camera has the gradient of moving all surfels the other way", "[render]") {
    auto w = random_world(3);
    const auto s = leaves(w.surfels);
    auto rotation = w.camera.rotation.clone().requires_grad_(true),
         translation = w.camera.translation.clone().requires_grad_(true);
    auto camera = w.camera;
    camera.rotation = rotation;
    camera.translation = translation;
    const auto g = torch::autograd::grad({probe(render(s, camera, kNames))},
                                         {rotation, translation, s.center, s.tangents, s.normal});
    for (int k = 0; k < 3; ++k) {
        // Camera: R ← R·(1 + [e_k]×), the same as turning the world by it.
        auto axis = torch::zeros({3}, torch::kDouble);
        axis[k] = 1;
        const auto spin = [&](const torch::Tensor& x) {
            return torch::cross(axis.expand_as(x), x, 1);
        };
        auto skew = torch::zeros({3, 3}, torch::kDouble);
        skew[(k + 2) % 3][(k + 1) % 3] = 1;
        skew[(k + 1) % 3][(k + 2) % 3] = -1;
        const double camera_side =
            (g[0] * torch::matmul(w.camera.rotation, skew)).sum().item<double>();
        const double world_side =
            ((g[2] * spin(w.surfels.center)).sum() + (g[4] * spin(w.surfels.normal)).sum())
                .item<double>() +
            (g[3] * torch::cross(axis.view({1, 3, 1}).expand_as(s.tangents), w.surfels.tangents, 1))
                .sum()
                .item<double>();
        REQUIRE(std::abs(camera_side - world_side) <= 1e-9 * (1 + std::abs(camera_side)));
        const double shift = torch::mv(w.camera.rotation.t(), g[1])[k].item<double>();
        REQUIRE(std::abs(shift - g[2].sum(0)[k].item<double>()) <= 1e-9 * (1 + std::abs(shift)));
    }
}

TEST_CASE("gradients of camera and surfels equal central differences", "[render]") {
    // Few, wide and faint surfels without a support border near a pixel: no decision within 1e-6 of
    // this scene.
    auto w = random_world(5, 4, 3);
    const auto f = [&](const std::vector<torch::Tensor>& x) {
        auto s = w.surfels;
        auto camera = w.camera;
        camera.rotation = x[0];
        camera.translation = x[1];
        camera.intrinsics = x[2];
        s.center = x[3];
        s.tangents = x[4];
        s.normal = x[5];
        s.opacity = x[6];
        return probe(render(s, camera, {"color", "alpha", "normal"}));
    };
    const double error =
        gradient_error(f,
                       {w.camera.rotation, w.camera.translation, w.camera.intrinsics,
                        w.surfels.center, w.surfels.tangents, w.surfels.normal, w.surfels.opacity},
                       1e-7);
    CAPTURE(error);
    REQUIRE(error <= 1e-6);  // measured 3e-8
}

TEST_CASE("each route of one pass gets the gradient of its own render", "[render][routes]") {
    const auto w = random_world(6);
    const std::vector<std::vector<std::string>> names = {
        {"color", "alpha"}, {"depth"}, {"normal"}, {"semantic", "color"}};
    std::vector<Route> routes;
    for (const auto& n : names) routes.push_back({leaves(w.surfels), n});
    const auto together = render(routes, w.camera);
    torch::Tensor sum = torch::zeros({}, torch::kDouble);
    for (const auto& maps : together) sum = sum + probe(maps);
    sum.backward();
    for (size_t r = 0; r < names.size(); ++r) {
        INFO("route " << r);
        const auto alone = leaves(w.surfels);
        const auto maps = render(alone, w.camera, names[r]);
        for (const auto& [name, map] : maps) REQUIRE(torch::equal(map, together[r].at(name)));
        probe(maps).backward();
        REQUIRE_CLOSE(routes[r].surfels.center.grad(), alone.center.grad(), 1e-11);
        REQUIRE_CLOSE(routes[r].surfels.tangents.grad(), alone.tangents.grad(), 1e-11);
        REQUIRE_CLOSE(routes[r].surfels.opacity.grad(), alone.opacity.grad(), 1e-11);
        REQUIRE(routes[r].surfels.normal.grad().defined() == (r == 2));
    }
}

TEST_CASE("a route that reaches features only gives them the gradient of its own render",
          "[render][routes]") {
    const auto w = random_world(8);
    for (const bool alone : {false, true}) {
        std::vector<Route> routes = {{leaves(w.surfels), {"semantic", "alpha", "depth"}, true}};
        if (!alone) routes.push_back({leaves(w.surfels), {"color", "alpha"}});
        const auto together = render(routes, w.camera);
        probe(together[0]).backward();
        const auto plain = leaves(w.surfels);
        const auto maps = render(plain, w.camera, {"semantic", "alpha", "depth"});
        for (const auto& [name, map] : maps) REQUIRE(torch::equal(map, together[0].at(name)));
        probe(maps).backward();
        REQUIRE_CLOSE(routes[0].surfels.features.at("semantic").grad(),
                      plain.features.at("semantic").grad(), 1e-11);
        for (const auto& route : routes) {
            for (const auto& x :
                 {route.surfels.center, route.surfels.tangents, route.surfels.opacity})
                REQUIRE((!x.grad().defined() || x.grad().abs().max().item<double>() == 0));
        }
    }
}

TEST_CASE("what cannot be rendered is named", "[render]") {
    const auto w = random_world(7, 5);
    REQUIRE(throws_error(
        [&] { render(w.surfels, w.camera, {"dino"}); },
        "no feature 'dino'; what can be rendered: alpha, depth, normal, color, semantic"));
    REQUIRE(throws_error([&] { render(std::vector<Route>{}, w.camera); }, "at least one route"));
    auto small = w.camera;
    small.width = 8;
    const auto tiles = find_tiles(w.surfels, small);
    REQUIRE(throws_error([&] { render(w.surfels, w.camera, {"alpha"}, &tiles); },
                         "the tiles are for 8x26"));
    auto short_normals = w.surfels;
    short_normals.normal = w.surfels.normal.slice(0, 1);
    REQUIRE(throws_error([&] { render(short_normals, w.camera, {"normal"}); },
                         "render: normal: expected [5,3]"));
}

TEST_CASE("tiles of another camera are refused, those of an equal one are taken", "[render]") {
    const auto w = random_world(7, 5);
    const auto tiles = find_tiles(w.surfels, w.camera);
    const auto refused = [&](const char* what, const std::function<void(Camera&)>& change) {
        auto other = w.camera;
        change(other);
        return throws_error([&] { render(w.surfels, other, {"alpha"}, &tiles); },
                            std::string("for another camera: camera.") + what + " differs");
    };
    CHECK(refused("rotation", [](Camera& c) { c.rotation = c.rotation.t().contiguous() * 0.5; }));
    CHECK(refused("translation", [](Camera& c) { c.translation = c.translation + 1e-4; }));
    CHECK(refused("intrinsics", [](Camera& c) { c.intrinsics = c.intrinsics * 1.01; }));
    CHECK(refused("near", [](Camera& c) { c.near = 0.3; }));
    CHECK(refused("low_pass", [](Camera& c) { c.low_pass = 0.7; }));
    auto equal = w.camera;
    equal.rotation = equal.rotation.clone();
    const auto alone = render(w.surfels, w.camera, {"alpha"}).at("alpha");
    REQUIRE(torch::equal(render(w.surfels, equal, {"alpha"}, &tiles).at("alpha"), alone));
    // Written after the tiles were found: the memory is the same, the camera is not.
    auto moving = w.camera;
    moving.translation = moving.translation.clone();
    const auto stale = find_tiles(w.surfels, moving);
    moving.translation.add_(0.1);
    REQUIRE(throws_error([&] { render(w.surfels, moving, {"alpha"}, &stale); },
                         "camera.translation differs"));
}

TEST_CASE("what is undefined or of another dtype is refused by name", "[render]") {
    const auto w = random_world(7, 5);
    const auto both = [&](const PosedSurfels& surfels, const Camera& camera, const char* words) {
        return throws_error(
                   [&] {
                       render(surfels, camera, {"color", "normal"});
                   },
                   words) &&
               throws_error([&] { find_tiles(surfels, camera); }, words);
    };
    CHECK(both(w.surfels, Camera{}, "render: camera.rotation: expected [3,3], got an undefined"));
    CHECK(both(PosedSurfels{}, w.camera, "render: center: expected [any,3], got an undefined"));
    auto surfels = w.surfels;
    surfels.tangents = torch::Tensor();
    CHECK(both(surfels, w.camera, "render: tangents: expected [5,3,2], got an undefined"));
    surfels.tangents = w.surfels.tangents.to(torch::kHalf);
    CHECK(both(surfels, w.camera, "render: tangents: expected "));
    auto camera = w.camera;
    camera.intrinsics = camera.intrinsics.to(torch::kLong);
    CHECK(both(w.surfels, camera, "render: camera.intrinsics: expected "));
    surfels = w.surfels;
    surfels.normal = surfels.normal.to(torch::kHalf);
    CHECK(
        throws_error([&] { render(surfels, w.camera, {"normal"}); }, "render: normal: expected "));
    surfels.features.set("color", w.surfels.features.at("color").to(torch::kHalf));
    CHECK(throws_error([&] { render(surfels, w.camera, {"color"}); },
                       "render: feature color: expected "));
}
