#include <fmgs/core/random.h>
#include <fmgs/core/types.h>

#include "support/test.h"

using namespace fmgs;

namespace {

Camera camera() {
    return {torch::tensor({0.0f, -1.0f, 0.0f, 1.0f, 0.0f, 0.0f, 0.0f, 0.0f, 1.0f}).view({3, 3}),
            torch::tensor({1.0f, 2.0f, 3.0f}), torch::tensor({500.0f, 510.0f, 160.0f, 120.0f}), 321,
            240};
}

}  // namespace

TEST_CASE("the camera's centre is where its own frame has its origin", "[types]") {
    const auto c = camera();
    REQUIRE_CLOSE(c.to_camera(c.center().unsqueeze(0)), torch::zeros({1, 3}), 1e-6);
    const auto moved = c.to_camera(torch::tensor({{1.0f, 0.0f, 0.0f}}));
    REQUIRE_CLOSE(moved, torch::tensor({{1.0f, 3.0f, 3.0f}}), 1e-6);
}

TEST_CASE("a scaled camera sees the same rays at its rounded size", "[types]") {
    const auto c = camera();
    const auto half = c.scaled(0.5);
    REQUIRE(half.width == 161);  // 160.5 rounds up, and fx and cx follow the true ratio
    REQUIRE(half.height == 120);
    const double ratio = 161.0 / 321;
    REQUIRE_CLOSE(half.intrinsics, c.intrinsics * torch::tensor({ratio, 0.5, ratio, 0.5}), 1e-6);
    REQUIRE(c.scaled(1e-9).width == 1);
}

TEST_CASE("maps keep their order, replace in place and name what is there", "[types]") {
    Maps maps{{"color", torch::zeros({1})}, {"depth", torch::zeros({2})}};
    maps.set("normal", torch::zeros({3}));
    maps.set("color", torch::zeros({4}));
    std::string order;
    for (const auto& [name, value] : maps) order += name + " ";
    REQUIRE(order == "color depth normal ");
    REQUIRE(maps.at("color").size(0) == 4);
    REQUIRE(maps.find("alpha") == nullptr);
    REQUIRE(test::throws_error([&] { maps.at("alpha"); },
                               "no tensor 'alpha'; there are: color, depth, normal"));
    REQUIRE(test::throws_error([] { Maps().at("alpha"); }, "there are: none"));
}

TEST_CASE("check_shape tells what was expected and what came", "[check]") {
    const auto x = torch::zeros({5, 4});
    check_shape(x, {5, 4}, "x");
    check_shape(x, {-1, 4}, "x");
    REQUIRE(test::throws_error(
        [&] {
            check_shape(x, {5, 3}, "position");
        },
        "position: expected [5,3], got [5,4]"));
    REQUIRE(test::throws_error([&] { check_shape(x, {5}, "x"); }, "x: expected [5], got [5,4]"));
    REQUIRE(test::throws_error([&] { check_shape({}, {-1}, "x"); },
                               "x: expected [any], got an undefined tensor"));
}

TEST_CASE("draws depend on seed, step and purpose, and on nothing else", "[random]") {
    const auto draw = [](Random random, const char* purpose) {
        return torch::rand({8}, random.generator(purpose));
    };
    const auto global = torch::rand({1});  // moves torch's own generator between the two draws
    const auto first = draw({7, 3}, "view_noise");
    torch::rand({5});
    REQUIRE(torch::equal(first, draw({7, 3}, "view_noise")));
    REQUIRE_FALSE(torch::equal(first, draw({8, 3}, "view_noise")));
    REQUIRE_FALSE(torch::equal(first, draw({7, 4}, "view_noise")));
    REQUIRE_FALSE(torch::equal(first, draw({7, 3}, "depth_pairs")));
    REQUIRE(Random{1, 0}.number("x") != Random{0, 1}.number("x"));
}

TEST_CASE("a camera that is empty, of mixed dtypes or scaled by no number is an Error", "[types]") {
    const auto points = torch::zeros({2, 3});
    REQUIRE(test::throws_error([&] { Camera{}.center(); }, "camera.rotation: expected [3,3]"));
    REQUIRE(test::throws_error([&] { Camera{}.to_camera(points); }, "camera.rotation"));
    REQUIRE(test::throws_error([&] { Camera{}.scaled(2); }, "camera.intrinsics: expected [4]"));
    REQUIRE_FALSE(Camera{}.to(torch::kDouble).rotation.defined());
    Camera camera{torch::eye(3), torch::zeros(3), torch::ones(4), 8, 6};
    for (const double factor : {0.0, -1.0, double(NAN), double(INFINITY)})
        REQUIRE(test::throws_error([&] { camera.scaled(factor); }, "expected a positive factor"));
    REQUIRE(test::throws_error([&] { camera.to_camera(points.to(torch::kDouble)); },
                               "points: expected Float on cpu as the camera, got Double"));
    REQUIRE(test::throws_error([&] { camera.orbit(torch::Tensor(), torch::ones(3), 1); },
                               "pivot: expected [3]"));
    camera.translation = camera.translation.to(torch::kDouble);
    REQUIRE(test::throws_error([&] { camera.center(); },
                               "camera.translation: expected Float as the rotation, got Double"));
}
