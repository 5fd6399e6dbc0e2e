#include <array>
#include <limits>

#include "support/scenes.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

std::vector<torch::Tensor> gradients_of_everything(Scene& scene) {
    scene.require_gradients();
    const auto out = scene.draw();
    return torch::autograd::grad(
        {(out.image * out.image).sum() + out.alpha.sum() + (out.depth * out.depth).sum()},
        scene.inputs());
}

bool all_finite(const std::vector<torch::Tensor>& tensors) {
    for (const auto& x : tensors) {
        if (!x.isfinite().all().item<bool>()) return false;
    }
    return true;
}

/// A surfel whose plane is turned by `degrees` about the y axis; σ in pixels.
Scene tilted_surfel(double degrees, double sigma, double opacity = 0.8) {
    auto s = facing_surfel(sigma, opacity);
    const double angle = degrees * M_PI / 180;
    const auto turn = torch::tensor({{std::cos(angle), 0.0, std::sin(angle)},
                                     {0.0, 1.0, 0.0},
                                     {-std::sin(angle), 0.0, std::cos(angle)}},
                                    torch::kDouble);
    s.tangents = torch::matmul(turn, s.tangents);
    return s;
}

/// Depth [H,W] of the plane through `point` with this normal, along every pixel's ray.
torch::Tensor plane_depth(const Scene& s, const torch::Tensor& point, const torch::Tensor& normal) {
    const auto k = s.intrinsics;
    const auto x = (torch::arange(s.width, k.options()) + 0.5 - k[2]) / k[0],
               y = (torch::arange(s.height, k.options()) + 0.5 - k[3]) / k[1];
    return (point * normal).sum() /
           (normal[0] * x.unsqueeze(0) + normal[1] * y.unsqueeze(1) + normal[2]);
}

}  // namespace

TEST_CASE("a surfel that faces the camera draws its Gaussian", "[raster]") {
    const auto s = facing_surfel(3, 0.7);
    const auto out = s.draw();
    const auto x = torch::arange(s.width, torch::kDouble) + 0.5 - 16;
    const auto expected =
        0.7 * torch::exp(-0.5 * (x.unsqueeze(0).square() + x.unsqueeze(1).square()) / 9);
    REQUIRE_CLOSE(out.alpha[0][0],
                  torch::where(expected >= 1 / 255.0, expected, torch::zeros_like(expected)),
                  1e-14);
    // 2 π o σ², less the 1/(255·0.7) outside the support.
    REQUIRE(std::abs(out.alpha.sum().item<double>() / (2 * M_PI * 0.7 * 9) - 1) < 0.01);
}

TEST_CASE("a feature of one draws alpha, and alpha is one minus the transmittance", "[raster]") {
    auto s = random_scene(1, 120, 2);
    s.features = torch::ones_like(s.features);
    const auto out = s.draw();
    REQUIRE_CLOSE(out.image[0], out.alpha[0][0], 1e-14);
    REQUIRE(out.alpha.max().item<double>() <= 1 - 1e-4);
}

TEST_CASE("the image is linear in the features", "[raster]") {
    const auto s = random_scene(2, 80, 4);
    auto a = s, b = s;
    a.features = s.features.sin();
    b.features = 2 * s.features + 3 * a.features;
    REQUIRE_CLOSE(b.draw().image, 2 * s.draw().image + 3 * a.draw().image, 1e-13);
}

TEST_CASE("the order of the rows does not matter", "[raster]") {
    auto s = random_scene(3, 100, 3);
    const auto order =
        torch::randperm(100, at::make_generator<at::CPUGeneratorImpl>(3), torch::kLong);
    auto shuffled = s.select(order);
    REQUIRE(torch::equal(shuffled.draw().image, s.draw().image));
    const auto g = gradients_of_everything(s), h = gradients_of_everything(shuffled);
    for (size_t i = 0; i < 4; ++i) REQUIRE(torch::equal(h[i], g[i].index_select(0, order)));
    REQUIRE_CLOSE(h[4], g[4], 1e-12);
}

TEST_CASE("surfels at the same depth are drawn in the order of their rows", "[raster]") {
    auto s = join(facing_surfel(3, 0.5), facing_surfel(3, 0.5));
    s.features = torch::tensor({{1.0, 0.0}, {0.0, 1.0}}, torch::kDouble);
    const auto image = s.draw().image;
    REQUIRE((image[0] >= image[1]).all().item<bool>());
    REQUIRE(image[0].max().item<double>() > 1.5 * image[1].max().item<double>());
}

TEST_CASE("depth of a tilted surfel is the depth of its plane", "[raster]") {
    for (const double degrees : {0.0, 25.0, 50.0}) {
        const auto s = tilted_surfel(degrees, 3);
        const auto out = s.draw();
        const double angle = degrees * M_PI / 180;
        const auto expected = plane_depth(
            s, s.center[0], torch::tensor({std::sin(angle), 0.0, std::cos(angle)}, torch::kDouble));
        const auto drawn = out.alpha[0][0] > 0;
        REQUIRE(drawn.sum().item<int64_t>() > 100);
        const auto depth = torch::where(drawn, out.depth[0][0] / out.alpha[0][0], expected);
        REQUIRE_CLOSE(depth, expected, 1e-12);
    }
}

TEST_CASE("depth of a slanted plane made of surfels is the plane's at every pixel", "[raster]") {
    auto s = facing_surfel(2, 0.9, 2, 48);
    const auto u = torch::tensor({0.96, 0.0, 0.28}, torch::kDouble),
               v = torch::tensor({0.0, 1.0, 0.0}, torch::kDouble);
    const auto grid = torch::arange(-24, 25, torch::kDouble) * 0.09;
    const auto i = grid.repeat_interleave(49).unsqueeze(1), j = grid.repeat({49}).unsqueeze(1);
    s.center = torch::tensor({{0.0, 0.0, 2.5}}, torch::kDouble) + i * u + j * v;
    s.tangents = torch::stack({u, v}, 1).unsqueeze(0).repeat({i.size(0), 1, 1}) * 0.09;
    s.opacity = torch::full({i.size(0), 1}, 0.6, torch::kDouble);
    s.features = torch::ones({i.size(0), 1}, torch::kDouble);
    const auto expected = plane_depth(s, torch::tensor({0.0, 0.0, 2.5}, torch::kDouble),
                                      torch::tensor({-0.28, 0.0, 0.96}, torch::kDouble));
    const auto out = s.to(torch::kFloat).draw();
    REQUIRE(out.alpha.min().item<double>() > 0.9);
    REQUIRE_CLOSE(out.depth[0][0] / out.alpha[0][0], expected, 1e-5);  // measured 4e-7
}

TEST_CASE("depth lies between the nearest and the farthest point of the supports", "[raster]") {
    const auto s = random_scene(4, 100, 1);
    const auto out = s.draw();
    const auto reach = 3.33 * s.tangents.select(1, 2).norm(2, 1);
    const auto z = s.center.select(1, 2), covered = out.alpha > 1e-6;
    const auto depth = (out.depth / out.alpha).masked_select(covered);
    REQUIRE(depth.min().item<double>() >= (z - reach).min().item<double>());
    REQUIRE(depth.max().item<double>() <= (z + reach).max().item<double>());
}

TEST_CASE("depth has no jump where the low-pass takes over, and is the centre's edge-on",
          "[raster]") {
    // Turned through edge-on in small steps, a pixel's depth moves in small steps.
    auto s = tilted_surfel(60, 3);
    const auto tangents = s.tangents.clone();
    const auto depth = [&](double degrees) {
        const double t = degrees * std::numbers::pi / 180;
        const auto turn = torch::tensor(
            {{std::cos(t), 0.0, std::sin(t)}, {0.0, 1.0, 0.0}, {-std::sin(t), 0.0, std::cos(t)}},
            torch::kDouble);
        s.tangents = torch::matmul(turn, tangents);
        const auto out = s.draw();
        return out.depth / out.alpha;  // NaN where the surfel does not reach
    };
    auto before = depth(-40);
    double largest = 0, range = 0;
    for (int step = -2000; step < 2000; ++step) {
        const auto now = depth(0.02 * step);
        const auto moved = (now - before).abs(), off = (now - s.center[0][2]).abs();
        largest = std::max(largest, moved.nan_to_num(0).max().item<double>());
        range = std::max(range, off.nan_to_num(0).max().item<double>());
        before = now;
    }
    REQUIRE(range > 0.01);
    REQUIRE(largest < 0.02 * range);  // measured 0.007
}

TEST_CASE("a surfel moved away is drawn deeper", "[raster]") {
    const auto depth = [](double z) {
        const auto out = tilted_surfel(30, 3).draw(), far = [&] {
            auto s = tilted_surfel(30, 3);
            s.center = s.center * z / 2;
            s.tangents = s.tangents * z / 2;
            return s.draw();
        }();
        REQUIRE_CLOSE(far.alpha, out.alpha, 1e-12);
        return far.depth.sum().item<double>();
    };
    REQUIRE(depth(2.1) > depth(2.0));
    REQUIRE(std::abs(depth(4) - 2 * depth(2)) < 1e-9);
}

TEST_CASE("the low-pass follows its width, and a narrow one thins what is seen edge-on",
          "[raster]") {
    auto s = facing_surfel(1e-4, 1.0);
    s.low_pass = 0.35;
    const auto x = torch::arange(s.width, torch::kDouble) + 0.5 - 16;
    const auto rho = (x.unsqueeze(0).square() + x.unsqueeze(1).square()) / (0.35 * 0.35);
    const auto inside = rho <= 2 * std::log(255.0);
    REQUIRE_CLOSE(s.draw().alpha[0][0],
                  torch::where(inside, torch::exp(-0.5 * rho).clamp_max(0.99), 0 * rho), 1e-12);
    auto edge = tilted_surfel(88, 3);
    const auto wide = edge.draw().alpha.sum().item<double>();
    edge.low_pass = 0.35;
    REQUIRE(edge.draw().alpha.sum().item<double>() < 0.6 * wide);
}

TEST_CASE("an opaque surfel hides what is behind", "[raster]") {
    auto s = join(facing_surfel(8, 1.0, 2), facing_surfel(8, 1.0, 3));
    s.features = torch::tensor({{1.0, 0.0}, {0.0, 1.0}}, torch::kDouble);
    REQUIRE(s.draw().image[1][16][16].item<double>() <= 0.01);
}

TEST_CASE("a pixel ends before its transmittance would fall below a ten-thousandth", "[raster]") {
    // Surfels as wide as the picture, one behind the other, that let a fifth through each:
    // 0.2⁵ = 3.2e-4 is drawn, 0.2⁶ = 6.4e-5 is not.
    auto stack = facing_surfel(1e5, 0.8);
    for (int k = 1; k < 9; ++k) stack = join(stack, facing_surfel(1e5, 0.8, 2 + 0.1 * k));
    stack.features = torch::eye(9, torch::kDouble);
    const auto out = stack.draw();
    REQUIRE_CLOSE(out.alpha, torch::full_like(out.alpha, 1 - 3.2e-4), 1e-7);
    for (int k = 0; k < 9; ++k) {
        const double share = k < 5 ? 0.8 * std::pow(0.2, k) : 0;
        INFO("surfel " << k);
        REQUIRE_CLOSE(out.image[k], torch::full_like(out.image[k], share), 1e-7);
    }
}

TEST_CASE("a vanishing surfel draws the low-pass disc, also across tile borders", "[raster]") {
    auto s = facing_surfel(1e-4, 1.0);
    const auto x = torch::arange(s.width, torch::kDouble) + 0.5 - 16;
    const auto r2 = x.unsqueeze(0).square() + x.unsqueeze(1).square();
    const auto expected = torch::exp(-r2).clamp_max(0.99);
    for (const int64_t tile : {4, 8, 16}) {  // the centre is where four tiles meet
        const auto alpha = s.draw(tile).alpha[0][0];
        REQUIRE(torch::equal(alpha > 0, r2 <= std::log(255.0)));
        REQUIRE_CLOSE(alpha,
                      torch::where(r2 <= std::log(255.0), expected, torch::zeros_like(expected)),
                      1e-12);
    }
}

TEST_CASE("shifting the principal point shifts the image", "[raster]") {
    auto s = random_scene(5, 100, 3, 40, 40);
    auto moved = s;
    moved.intrinsics = s.intrinsics + torch::tensor({0.0, 0.0, 3.0, -5.0}, torch::kDouble);
    const auto a = s.draw().image, b = moved.draw().image;
    REQUIRE_CLOSE(b.slice(2, 3).slice(1, 0, 35), a.slice(2, 0, 37).slice(1, 5), 1e-12);
}

TEST_CASE("a half turn about the optical axis turns the image", "[raster]") {
    auto s = random_scene(6, 100, 3, 32, 32);
    s.intrinsics = pinhole(35, 16, 16);
    auto turned = s;
    const auto flip = torch::tensor({-1.0, -1.0, 1.0}, torch::kDouble);
    turned.center = s.center * flip;
    turned.tangents = s.tangents * flip.unsqueeze(1);
    REQUIRE_CLOSE(turned.draw().image, s.draw().image.flip({1, 2}), 1e-12);
    REQUIRE_CLOSE(turned.draw().depth, s.draw().depth.flip({2, 3}), 1e-12);
}

TEST_CASE("scaling the scene scales the depth alone, and the gradient says so", "[raster]") {
    auto s = random_scene(7, 80, 3);
    auto large = s;
    large.center = 3 * s.center;
    large.tangents = 3 * s.tangents;
    REQUIRE_CLOSE(large.draw().image, s.draw().image, 1e-12);
    REQUIRE_CLOSE(large.draw().depth, 3 * s.draw().depth, 1e-12);
    // Euler: Σ p·dp + Σ a·da + Σ b·db = 0 where the loss does not depend on the scale.
    s.require_gradients();
    const auto g = torch::autograd::grad({(s.draw().image.square()).sum()}, {s.center, s.tangents});
    REQUIRE(std::abs((g[0] * s.center).sum().item<double>() +
                     (g[1] * s.tangents).sum().item<double>()) < 1e-10);
}

TEST_CASE("swapping or turning the sign of tangents changes nothing", "[raster]") {
    auto s = random_scene(8, 60, 2);
    auto other = s;
    other.tangents = torch::stack({-s.tangents.select(2, 1), s.tangents.select(2, 0)}, 2);
    REQUIRE_CLOSE(other.draw().image, s.draw().image, 1e-12);
    REQUIRE_CLOSE(other.draw().depth, s.draw().depth, 1e-12);
}

TEST_CASE("nothing behind the camera or across its near plane is drawn", "[raster]") {
    for (const double z : {-2.0, 0.0, 0.1}) {
        auto s = facing_surfel(3, 0.9);
        s.center = torch::tensor({{0.01, 0.02, z}}, torch::kDouble);
        REQUIRE(s.draw().alpha.max().item<double>() == 0);
    }
    auto crossing = facing_surfel(3, 0.9);
    crossing.tangents = torch::tensor({{{0.0, 0.0}, {0.0, 0.2}, {0.6, 0.0}}},
                                      torch::kDouble);  // 2 − 3.33·0.6 < near
    REQUIRE(crossing.draw().alpha.max().item<double>() == 0);
    REQUIRE(crossing.tiles().indices.numel() == 0);
}

TEST_CASE("a clamped opacity passes no gradient on", "[raster]") {
    auto s = facing_surfel(200, 1.0);  // α = 0.99 everywhere in the image
    s.require_gradients();
    const auto out = s.draw();
    REQUIRE(out.alpha.min().item<double>() == Approx(0.99).epsilon(1e-12));
    const auto g = torch::autograd::grad({out.alpha.sum()}, {s.opacity, s.tangents, s.center});
    for (const auto& x : g) REQUIRE(x.abs().max().item<double>() == 0);
}

TEST_CASE("a NaN cotangent at an empty pixel stays there", "[raster]") {
    auto s = facing_surfel(1, 0.9);
    s.features = s.features.repeat({1, GENERATE(1, 6)});
    s.require_gradients();
    const auto out = s.draw();
    const auto empty = out.alpha == 0;
    REQUIRE(empty.any().item<bool>());
    const auto g = torch::where(empty, NAN, 1.0).to(torch::kDouble);
    REQUIRE(all_finite(torch::autograd::grad({out.image, out.alpha, out.depth}, s.inputs(),
                                             {g[0].expand_as(out.image), g, g})));
}

TEST_CASE("a surfel seen edge-on has finite depth and gradients", "[raster]") {
    for (const double offset : {0.0, 0.5, 1e-12}) {
        auto s = facing_surfel(3, 0.9);
        s.intrinsics = pinhole(40, 16 + offset,
                               16.5);  // with offset 0.5 the pixels' rays lie in the plane: q2 = 0
        s.tangents = torch::tensor({{{0.0, 0.0}, {0.15, 0.0}, {0.0, 0.15}}}, torch::kDouble);
        const auto out = s.draw();
        REQUIRE(out.alpha.max().item<double>() > 0.3);
        const auto z = (out.depth / out.alpha).masked_select(out.alpha > 0);
        REQUIRE(z.min().item<double>() >= 2 - 3.34 * 0.15);
        REQUIRE(z.max().item<double>() <= 2 + 3.34 * 0.15);
        REQUIRE(all_finite(gradients_of_everything(s)));
        auto single = s.to(torch::kFloat);
        REQUIRE(all_finite(gradients_of_everything(single)));
    }
}

TEST_CASE("nothing to draw is an empty image with zero gradients", "[raster]") {
    for (const auto& s0 :
         {random_scene(9, 0, 3), facing_surfel(3, 0.0), facing_surfel(3, 0.5, -1)}) {
        auto s = s0;
        const auto out = s.draw();
        REQUIRE(out.image.abs().sum().item<double>() + out.alpha.sum().item<double>() +
                    out.depth.sum().item<double>() ==
                0);
        for (const auto& g : gradients_of_everything(s)) REQUIRE(g.abs().sum().item<double>() == 0);
    }
}

TEST_CASE("extreme attributes give finite images and gradients", "[raster]") {
    const double inf = std::numeric_limits<double>::infinity();
    const auto check = [](const Scene& s) {
        for (const auto type : {torch::kFloat, torch::kDouble}) {
            auto t = s.to(type);
            const auto out = t.draw();
            REQUIRE(all_finite({out.image, out.alpha, out.depth}));
            REQUIRE(all_finite(gradients_of_everything(t)));
        }
    };
    const auto s = random_scene(10, 12, 3);
    for (const double value : {static_cast<double>(NAN), inf, -inf, 0.0, 1e3, 1e30, -1e30, 1e-30}) {
        INFO("value " << value);
        for (int part = 0; part < 4; ++part) {
            auto t = s;
            auto* x = std::array{&t.center, &t.tangents, &t.opacity,
                                 &t.features}[static_cast<size_t>(part)];
            *x = x->clone(torch::MemoryFormat::Contiguous);
            if (part == 3 && std::abs(value) > 1e20)
                continue;  // a finite feature is drawn as it is: its square overflows
            (*x)[3].fill_(value);
            (*x)[7].view({-1})[0] = value;
            check(t);
        }
    }
    for (const double value : {static_cast<double>(NAN), inf, 0.0, 1e30}) {
        auto t = s;
        t.intrinsics = torch::full({4}, value, torch::kDouble);
        check(t);
    }
    auto t = s;
    t.opacity = torch::full_like(s.opacity, 1.0);
    check(t);
    check(join(s, s));
    t = s;
    t.width = t.height = 1;
    check(t);
    t.width = 3;
    t.height = 67;
    check(t);
}

TEST_CASE("a NaN feature takes its surfel alone out of the image", "[raster]") {
    auto s = random_scene(11, 30, 3);
    s.features[4][1] = NAN;
    auto without = s;
    without.opacity = s.opacity.clone();
    without.opacity[4] = 0;
    without.features = s.features.nan_to_num();
    REQUIRE(torch::equal(s.draw().image, without.draw().image));
}

TEST_CASE("wrong arguments of find_tiles are named", "[raster]") {
    const auto s = facing_surfel(1, 0.5);
    const auto find = [&](int64_t width, int64_t tile, double near) {
        find_tiles(s.center, s.tangents, s.opacity, s.intrinsics, width, 32, near, 0.7, tile);
    };
    REQUIRE(throws_error([&] { find(0, 16, 0.2); }, "got 0 x 32"));
    REQUIRE(throws_error([&] { find(32, -1, 0.2); }, "tile size"));
    REQUIRE(throws_error([&] { find(32, 16, -1); }, "near"));
    REQUIRE(throws_error(
        [&] { find_tiles(s.center, s.center, s.opacity, s.intrinsics, 32, 32, 0.2, 0.7); },
        "tangents: expected [1,3,2]"));
}
