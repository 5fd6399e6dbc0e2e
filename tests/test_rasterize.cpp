#include <ATen/Parallel.h>
#include <fmgs/raster/cpu/rasterize_cpu.h>

#include <limits>

#include "support/raster_probe.h"
#include "support/reference_raster.h"
#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

/// Pixels further than `band` from any decision at which the image jumps.
torch::Tensor calm(const torch::Tensor& to_decision, double band) { return to_decision > band; }

double distance_where(const torch::Tensor& mask, const torch::Tensor& a, const torch::Tensor& b) {
    return distance(torch::where(mask, a, torch::zeros_like(a)),
                    torch::where(mask, b, torch::zeros_like(b)));
}

/// Four routes over the scene's rows, as leaves of their own.
struct Routed {
    torch::Tensor center, tangents, opacity, features, intrinsics;
    torch::Tensor channel_route;  // 2 0 0 3 2, again and again

    explicit Routed(const Scene& s) {
        const int64_t channels = s.features.size(1);
        channel_route = torch::tensor({2, 0, 0, 3, 2}, torch::kLong)
                            .repeat({channels / 5 + 1})
                            .narrow(0, 0, channels);
        const auto rows = [](const torch::Tensor& x) {
            return x.detach().unsqueeze(0).repeat({4, 1, 1}).requires_grad_(true);
        };
        center = rows(s.center);
        opacity = rows(s.opacity);
        tangents = s.tangents.detach().unsqueeze(0).repeat({4, 1, 1, 1}).requires_grad_(true);
        features = s.features.detach().clone().requires_grad_(true);
        intrinsics = s.intrinsics.detach().clone().requires_grad_(true);
    }
    Raster draw(const Scene& s) const {
        return rasterize(center, tangents, opacity, features, channel_route, intrinsics, s.tiles());
    }
};

}  // namespace

TEST_CASE("the tiled drawing equals the textbook formulas over all pixels", "[raster]") {
    for (const uint64_t seed : {1u, 2u, 3u}) {
        const auto scene = random_scene(seed, 80, 5, 37, 29);
        const auto expected = reference_rasterize(scene).raster;
        for (const int64_t tile : {1, 8, 16, 32, 64}) {
            const auto out = scene.draw(tile);
            REQUIRE_CLOSE(out.image, expected.image, 1e-12);
            REQUIRE_CLOSE(out.alpha, expected.alpha, 1e-12);
            REQUIRE_CLOSE(out.depth, expected.depth, 1e-12);
        }
    }
}

TEST_CASE("gradients equal autograd through the textbook formulas", "[raster]") {
    for (const uint64_t seed : {11u, 12u, 13u}) {
        auto scene = random_scene(seed, 60, 4, 24, 20);
        scene.require_gradients();
        const auto expected = gradients(probe(reference_rasterize(scene).raster), scene.inputs());
        const auto got = gradients(probe(scene.draw()), scene.inputs());
        for (size_t i = 0; i < got.size(); ++i) {
            INFO("seed " << seed << " input " << i);
            REQUIRE_CLOSE(got[i], expected[i], 1e-9);
        }
    }
}

TEST_CASE("gradients equal central differences where no decision changes", "[raster]") {
    auto scene = random_scene(21, 14, 3, 16, 14, 0.4, 3);
    scene.require_gradients();
    const auto analytic = gradients(probe(scene.draw(8)), scene.inputs());
    torch::NoGradGuard guard;
    const auto decisions = reference_rasterize(scene).decisions;
    const double step = 1e-6;
    double worst = 0;
    int64_t tried = 0, rejected = 0;
    const auto inputs = scene.inputs();
    for (size_t k = 0; k < inputs.size(); ++k) {
        auto flat = inputs[k].view({-1});
        for (int64_t i = 0; i < flat.numel(); ++i) {
            const double x0 = flat[i].item<double>();
            double value[2];
            bool same = true;
            for (const int side : {0, 1}) {
                flat[i] = x0 + (side == 0 ? step : -step);
                value[side] = probe(scene.draw(8)).item<double>();
                same = same && torch::equal(reference_rasterize(scene).decisions, decisions);
            }
            flat[i] = x0;
            ++tried;
            rejected += !same;
            if (!same) continue;
            const double numeric = (value[0] - value[1]) / (2 * step);
            const double error = std::abs(analytic[k].view({-1})[i].item<double>() - numeric) /
                                 (1 + std::abs(numeric));
            worst = std::max(worst, error);
        }
    }
    CAPTURE(worst, rejected, tried);
    REQUIRE(worst <= 1e-6);  // measured 4e-9
    REQUIRE(rejected <= tried / 20);
}

TEST_CASE("four routes in one pass get the gradients of four separate passes", "[raster][routes]") {
    const int64_t channels = GENERATE(4, 5, 110);  // planes, rows, rows of more than one block
    CAPTURE(channels);
    const auto scene = random_scene(31, 50, channels, 30, 22);
    const Routed routed(scene);
    const auto out = routed.draw(scene);
    const auto plain = scene.draw();
    for (int64_t r = 0; r < 4; ++r) {
        REQUIRE(torch::equal(out.alpha[r], plain.alpha[0]));
        REQUIRE(torch::equal(out.depth[r], plain.depth[0]));
    }
    REQUIRE(torch::equal(out.image, plain.image));
    // Route 1 has a depth alone, route 3 a channel alone.
    auto generator = at::make_generator<at::CPUGeneratorImpl>(8);
    const auto gi = torch::randn(out.image.sizes(), generator, torch::kDouble);
    const auto ga = torch::randn(out.alpha.sizes(), generator, torch::kDouble) *
                    torch::tensor({1., 0., 1., 0.}, torch::kDouble).view({4, 1, 1, 1});
    const auto gd = torch::randn(out.depth.sizes(), generator, torch::kDouble) *
                    torch::tensor({1., 1., 0., 0.}, torch::kDouble).view({4, 1, 1, 1});
    const auto loss = (out.image * gi).sum() + (out.alpha * ga).sum() + (out.depth * gd).sum();
    const auto got = gradients(
        loss, {routed.center, routed.tangents, routed.opacity, routed.features, routed.intrinsics});

    auto features = torch::zeros_like(scene.features),
         intrinsics = torch::zeros_like(scene.intrinsics);
    for (int64_t r = 0; r < 4; ++r) {
        auto single = scene;
        single.require_gradients();
        const auto one = single.draw();
        const auto mine = (routed.channel_route == r).to(torch::kDouble).view({-1, 1, 1});
        const auto g = gradients((one.image * gi * mine).sum() + (one.alpha[0] * ga[r]).sum() +
                                     (one.depth[0] * gd[r]).sum(),
                                 single.inputs());
        INFO("route " << r);
        REQUIRE_CLOSE(got[0][r], g[0], 1e-12);
        REQUIRE_CLOSE(got[1][r], g[1], 1e-12);
        REQUIRE_CLOSE(got[2][r], g[2], 1e-12);
        features += g[3];
        intrinsics += g[4];
    }
    REQUIRE_CLOSE(got[3], features, 1e-12);
    REQUIRE_CLOSE(got[4], intrinsics, 1e-12);
}

TEST_CASE("a channel of no route gives its gradient to its features alone", "[raster][routes]") {
    const int64_t channels = GENERATE(4, 13);
    for (const bool single : {false, true}) {  // float takes the SIMD code
        auto scene = random_scene(12, 60, channels, 24, 20);
        const auto type = single ? torch::kFloat : torch::kDouble;
        for (auto* x :
             {&scene.center, &scene.tangents, &scene.opacity, &scene.features, &scene.intrinsics})
            *x = x->to(type);
        const auto route =
            torch::tensor({0, -1, 0, -1, -1, -1, -1, -1, -1, -1, 0, -1, -1}).narrow(0, 0, channels);
        const auto tiles = scene.tiles();
        const auto image_gradient =
            torch::randn({channels, 20, 24}, at::make_generator<at::CPUGeneratorImpl>(3), type);
        const auto run = [&](const torch::Tensor& channel_route, const torch::Tensor& g) {
            auto s = scene;
            s.require_gradients();
            const auto out =
                rasterize(s.center.unsqueeze(0), s.tangents.unsqueeze(0), s.opacity.unsqueeze(0),
                          s.features, channel_route, s.intrinsics, tiles);
            return gradients((out.image * g).sum() + out.alpha.sum(), s.inputs());
        };
        const auto got = run(route, image_gradient);
        const auto all = run(torch::zeros_like(route), image_gradient);
        const auto open =
            run(torch::zeros_like(route), image_gradient * (route >= 0).to(type).view({-1, 1, 1}));
        const double tolerance = single ? 1e-4 : 1e-12;
        REQUIRE(distance(all[0], open[0]) > 1e-2);  // the closed channels would have been heard
        for (size_t k : {0u, 1u, 2u, 4u}) REQUIRE_CLOSE(got[k], open[k], tolerance);
        REQUIRE_CLOSE(got[3], all[3], tolerance);
    }
}

TEST_CASE("the gradients of four routes add up to central differences along a common direction",
          "[raster][routes]") {
    const auto scene = random_scene(32, 20, 5, 16, 16, 0.8, 3);
    const Routed routed(scene);
    const auto g =
        gradients(probe(routed.draw(scene)), {routed.center, routed.tangents, routed.opacity});
    auto generator = at::make_generator<at::CPUGeneratorImpl>(4);
    for (int trial = 0; trial < 5; ++trial) {
        const auto direction = [&](const torch::Tensor& x) {
            return torch::randn(x.sizes(), generator, torch::kDouble) * 1e-3;
        };
        const auto dc = direction(scene.center), dt = direction(scene.tangents),
                   dopacity = direction(scene.opacity);
        const double analytic =
            ((g[0].sum(0) * dc).sum() + (g[1].sum(0) * dt).sum() + (g[2].sum(0) * dopacity).sum())
                .item<double>();
        const double step = 1e-5;
        double value[2];
        torch::Tensor decisions[2];
        for (const int side : {0, 1}) {
            auto moved = scene;
            const double h = side == 0 ? step : -step;
            moved.center = scene.center + h * dc;
            moved.tangents = scene.tangents + h * dt;
            moved.opacity = scene.opacity + h * dopacity;
            value[side] = probe(Routed(moved).draw(moved)).item<double>();
            decisions[side] = reference_rasterize(moved).decisions;
        }
        REQUIRE(torch::equal(decisions[0], decisions[1]));
        REQUIRE(std::abs((value[0] - value[1]) / (2 * step) - analytic) <=
                1e-6 * (1 + std::abs(analytic)));
    }
}

TEST_CASE("float equals the same arithmetic without tiles", "[raster]") {
    const auto scene = random_scene(41, 150, 6, 45, 40).to(torch::kFloat);
    torch::Tensor to_decision;
    const auto expected = brute_force<float>(scene, &to_decision);
    const auto mask = calm(to_decision, 1e-4);
    REQUIRE((~mask).sum().item<int64_t>() <= 0.03 * static_cast<double>(mask.numel()));
    for (const auto set : instruction_sets()) {
        const auto out =
            raster::rasterize_cpu(operator_inputs(scene, 16), raster::tile_backend(set));
        INFO("set " << static_cast<int>(set));
        REQUIRE(distance_where(mask, out.image, expected.image) <= 1e-6);
        REQUIRE(distance_where(mask, out.alpha, expected.alpha) <= 1e-6);
        REQUIRE(distance_where(mask, out.depth, expected.depth) <= 1e-6);
    }
}

TEST_CASE("instruction sets agree with the portable one, and float with double", "[raster]") {
    for (const int64_t channels : {0, 1, 3, 36}) {
        const auto scene =
            random_scene(43, 120, channels, 33, 41).to(torch::kFloat).to(torch::kDouble);
        torch::Tensor to_decision;
        brute_force<float>(scene, &to_decision);
        const auto mask = calm(to_decision, 1e-4);
        // Gradients of a surfel seen within 6° of edge-on are sums that cancel: badly conditioned
        // in float.
        const auto across =
            torch::cross(scene.tangents.select(2, 0), scene.tangents.select(2, 1), 1);
        const auto cosine =
            (across * scene.center).sum(1).abs() / (across.norm(2, 1) * scene.center.norm(2, 1));
        const auto kept = (cosine > 0.1).nonzero().select(1, 0);
        REQUIRE(kept.numel() >= 100);
        const auto rows = [&](const torch::Tensor& x) {
            return x.index_select(x.dim() > 2 ? 1 : 0, kept);
        };
        const auto single = operator_inputs(scene.to(torch::kFloat), 16),
                   twofold = operator_inputs(scene, 16);
        const auto reference =
            raster::rasterize_cpu(single, raster::tile_backend(raster::InstructionSet::portable));
        for (const auto set : instruction_sets()) {
            INFO("set " << static_cast<int>(set) << " channels " << channels);
            const auto out = raster::rasterize_cpu(single, raster::tile_backend(set));
            REQUIRE(distance_where(mask, out.image, reference.image) <= 1e-6);
            REQUIRE(distance_where(mask, out.depth, reference.depth) <= 1e-6);
            const auto exact = raster::rasterize_cpu(twofold, raster::tile_backend(set));
            REQUIRE(distance_where(mask, out.image, exact.image) <= 1e-4);
            REQUIRE(distance_where(mask, out.depth, exact.depth) <= 1e-4);

            // Gradients: cotangents in calm pixels only, the others differ by whole samples.
            auto generator = at::make_generator<at::CPUGeneratorImpl>(6);
            const auto cotangent = [&](const torch::Tensor& x) {
                return torch::randn(x.sizes(), generator, torch::kDouble) * mask.to(torch::kDouble);
            };
            const raster::RasterizeCotangents g{cotangent(exact.image),
                                                cotangent(exact.alpha),
                                                cotangent(exact.depth),
                                                exact.transmittance,
                                                exact.last,
                                                true};
            const raster::RasterizeCotangents gf{g.image.to(torch::kFloat),
                                                 g.alpha.to(torch::kFloat),
                                                 g.depth.to(torch::kFloat),
                                                 out.transmittance,
                                                 out.last,
                                                 true};
            const auto a = raster::rasterize_cpu_backward(single, gf, raster::tile_backend(set));
            const auto b = raster::rasterize_cpu_backward(twofold, g, raster::tile_backend(set));
            for (const auto& [x, y] : {std::pair{a.center, b.center},
                                       {a.tangents, b.tangents},
                                       {a.opacity, b.opacity},
                                       {a.features, b.features}}) {
                const double scale = y.numel() ? y.abs().max().item<double>() : 1;
                REQUIRE_CLOSE(rows(x) / scale, rows(y) / scale, 1e-4);  // measured 6e-6
            }
        }
    }
}
