// What goes a row at a time on the CPU against the operators of torch that it stands for.
#include <fmgs/core/random.h>
#include <fmgs/core/rotation.h>
#include <fmgs/core/surfel_rows.h>
#include <fmgs/core/surfels.h>
#include <fmgs/raster/cpu/camera_rows.h>
#include <fmgs/raster/render.h>

#include "support/gradcheck.h"
#include "support/test.h"

using namespace fmgs;
namespace rows = fmgs::detail;

namespace {

torch::Tensor draw(std::initializer_list<int64_t> shape, uint64_t seed) {
    return torch::randn(shape, Random{seed}.generator("rows"), torch::kDouble);
}

/// Values and gradients of f and of what it stands for, each against the other.
void require_same(const std::function<std::vector<torch::Tensor>(std::vector<torch::Tensor>)>& f,
                  const std::function<std::vector<torch::Tensor>(std::vector<torch::Tensor>)>& g,
                  std::vector<torch::Tensor> inputs, double tolerance) {
    for (auto& x : inputs) x = x.detach().clone().requires_grad_(true);
    const auto got = f(inputs), wanted = g(inputs);
    REQUIRE(got.size() == wanted.size());
    std::vector<torch::Tensor> weights;
    for (size_t k = 0; k < got.size(); ++k) {
        REQUIRE_CLOSE(got[k], wanted[k], tolerance);
        weights.push_back(torch::randn_like(got[k]));
    }
    const auto a = torch::autograd::grad(got, inputs, weights),
               b = torch::autograd::grad(wanted, inputs, weights);
    for (size_t k = 0; k < a.size(); ++k) REQUIRE_CLOSE(a[k], b[k], 20 * tolerance);
}

std::vector<torch::Tensor> posed(const std::vector<torch::Tensor>& in) {
    const auto out = rows::posed_rows(in[0], in[1], in[2], in[3], in[4]);
    return {out.center, out.tangents, out.normal};
}

std::vector<torch::Tensor> posed_by_operators(const std::vector<torch::Tensor>& in) {
    const Surfels surfels{.position = in[0], .rotation = in[1], .scale = in[2]};
    const auto out = rows::posed_by_operators(surfels, in[3], in[4]);
    return {out.center, out.tangents, out.normal};
}

Camera some_camera() {
    Camera camera;
    camera.rotation = exp_map(draw({1, 3}, 20))[0];
    camera.translation = torch::tensor({0.1, -0.2, 3.}, torch::kDouble);
    camera.intrinsics = torch::tensor({90., 70., 31., 33.}, torch::kDouble);
    camera.width = camera.height = 64;
    return camera;
}

}  // namespace

TEST_CASE("R exp([r]x) is the product, at all angles", "[surfel_rows]") {
    const auto R = exp_map(draw({40, 3}, 1));
    for (const double size : {0., 1e-9, 1e-3, 0.08, 0.0816, 1., 3.}) {  // 0.0816² = 0.02 / 3
        const auto r = draw({40, 3}, 2) * size;
        CAPTURE(size);
        require_same(
            [](auto in) { return std::vector<torch::Tensor>{rows::turned_rows(in[0], in[1])}; },
            [](auto in) { return std::vector<torch::Tensor>{in[0].matmul(exp_map(in[1]))}; },
            {R, r}, 1e-13);
    }
    const auto weight = draw({5, 3, 3}, 3);
    const auto value = [&](const std::vector<torch::Tensor>& in) {
        return (rows::turned_rows(in[0], in[1]) * weight).sum();
    };
    REQUIRE(test::gradient_error(value, {draw({5, 3, 3}, 4), draw({5, 3}, 5)}) < 1e-8);
    REQUIRE(test::gradient_error(value, {draw({5, 3, 3}, 4), 1e-4 * draw({5, 3}, 5)}) < 1e-8);
}

TEST_CASE("posed rows are what the operators of equations 11 and 12 give", "[surfel_rows]") {
    const std::vector<torch::Tensor> in = {draw({700, 3}, 1), exp_map(draw({700, 3}, 2)),
                                           draw({700, 2}, 3).abs(), draw({700, 4, 4}, 4)};
    // Both cuts of a transform have its values; each takes the gradient of what it moves.
    const auto both = [](auto f) {
        return [f](std::vector<torch::Tensor> x) { return f({x[0], x[1], x[2], x[3], x[3]}); };
    };
    require_same(both(posed), both(posed_by_operators), in, 1e-10);
}

TEST_CASE("what does not follow from an open attribute takes no gradient", "[surfel_rows]") {
    const auto p = draw({4, 3}, 1), R = exp_map(draw({4, 3}, 2)), s = draw({4, 2}, 3).abs(),
               T = draw({4, 4, 4}, 4);
    const auto open = [](const torch::Tensor& x) { return x.clone().requires_grad_(true); };
    auto out = rows::posed_rows(open(p), R, s, T, T);
    REQUIRE(out.center.requires_grad());
    REQUIRE_FALSE((out.tangents.requires_grad() || out.normal.requires_grad()));
    out = rows::posed_rows(p, R, open(s), T, T);
    REQUIRE(out.tangents.requires_grad());
    REQUIRE_FALSE((out.center.requires_grad() || out.normal.requires_grad()));
    out = rows::posed_rows(p, R, s, T, open(T));
    REQUIRE((out.tangents.requires_grad() && out.normal.requires_grad()));
    REQUIRE_FALSE(out.center.requires_grad());
    const auto camera = some_camera();
    const auto a = draw({4, 3, 2}, 5), o = draw({4, 1}, 6).abs();
    const auto moved = rows::camera_rows(open(p), a, o, camera, /*mip=*/true);
    REQUIRE((moved.center.requires_grad() && moved.opacity.requires_grad()));
    REQUIRE_FALSE(moved.tangents.requires_grad());
    REQUIRE_FALSE(rows::camera_rows(open(p), a, o, camera, false).opacity.requires_grad());
}

TEST_CASE("camera rows are the operators that a camera with a gradient takes", "[surfel_rows]") {
    const auto camera = some_camera();
    for (const bool mip : {false, true}) {
        CAPTURE(mip);
        const auto value = [&](const std::vector<torch::Tensor>& in) {
            const auto seen = rows::camera_rows(in[0], in[1], in[2], camera, mip);
            return (seen.center.sin() * 3).sum() + (seen.tangents * 5).cos().sum() +
                   (seen.opacity * 2).sin().sum();
        };
        // The last lies nearer than the near plane, and the first is seen edge-on.
        auto center = draw({6, 3}, 1) * 0.4, tangents = draw({6, 3, 2}, 2) * 0.05;
        const auto to_world = [&](const torch::Tensor& c) {
            return (c - camera.translation).matmul(camera.rotation);
        };
        center[5] = to_world(torch::tensor({0.02, 0.01, 0.1}, torch::kDouble));
        REQUIRE(test::gradient_error(value, {center, tangents, draw({6, 1}, 3).abs()}) < 1e-7);
    }
    const auto seen = rows::camera_rows(draw({6, 3}, 1), draw({6, 3, 2}, 2), draw({6, 1}, 3),
                                        camera, /*mip=*/false);
    REQUIRE_CLOSE(seen.center, camera.to_camera(draw({6, 3}, 1)), 1e-14);
    REQUIRE_CLOSE(seen.tangents, torch::matmul(camera.rotation, draw({6, 3, 2}, 2)), 1e-14);
    REQUIRE(torch::equal(seen.opacity, draw({6, 1}, 3)));
}

TEST_CASE("a camera with a gradient sees what one without sees", "[surfel_rows]") {
    const auto fixed = some_camera();
    auto learned = fixed;
    learned.translation = fixed.translation.clone().requires_grad_(true);
    for (const bool mip : {false, true}) {
        CAPTURE(mip);
        const auto drawn = [mip](const Camera& camera) {
            return [&camera, mip](std::vector<torch::Tensor> in) {
                const auto to_world = camera.rotation.detach().t();
                PosedSurfels surfels{in[0].matmul(to_world.t()), torch::matmul(to_world, in[1]),
                                     draw({30, 3}, 7), torch::sigmoid(in[2])};
                surfels.mip = mip;
                surfels.features.set("color", draw({30, 3}, 8));
                const auto maps = render(surfels, camera, {"color", "alpha", "depth"});
                return std::vector<torch::Tensor>{maps.at("color"), maps.at("alpha"),
                                                  maps.at("depth")};
            };
        };
        require_same(drawn(fixed), drawn(learned),
                     {draw({30, 3}, 1) * 0.3, draw({30, 3, 2}, 2) * 0.1, draw({30, 1}, 3)}, 1e-10);
    }
}

TEST_CASE("a second derivative through rows raises", "[surfel_rows]") {
    const auto open = [](const torch::Tensor& x) { return x.clone().requires_grad_(true); };
    const auto p = open(draw({4, 3}, 1)), R = open(exp_map(draw({4, 3}, 2))),
               s = open(draw({4, 2}, 3).abs()), T = open(draw({4, 4, 4}, 4));
    const auto refuses = [&](const torch::Tensor& y, const torch::Tensor& x, const char* name) {
        const auto first = torch::autograd::grad({y.sin().sum()}, {x}, {}, true, true)[0];
        return test::throws_error([&] { torch::autograd::grad({first.square().sum()}, {x}); },
                                  name);
    };
    REQUIRE(refuses(rows::turned_rows(R, p), p, "turned_rows"));
    REQUIRE(refuses(rows::posed_rows(p, R, s, T, T).normal, R, "posed_rows"));
    REQUIRE(refuses(
        rows::camera_rows(p, open(draw({4, 3, 2}, 5)), open(draw({4, 1}, 6)), some_camera(), true)
            .center,
        p, "camera_rows"));
}
