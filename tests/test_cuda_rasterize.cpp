// The sources of the CUDA rasterizer, run on the CPU (cuda_shim/): against the CPU backend, in
// every order of threads.
#include "cuda_shim/raster.h"

#include <cuda_runtime.h>

#include <limits>

#include "support/raster_probe.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

/// Inputs of the operator with `routes` equal rows; the tiles are the GPU's.
raster::RasterizeInputs device_inputs(const Scene& s, const std::vector<int64_t>& channel_route,
                                      int64_t routes = 1, int64_t tile_size = 8,
                                      int64_t capacity = 0) {
    const auto tiles = shim_find_tiles(s.center, s.tangents, s.opacity, s.intrinsics, s.width,
                                       s.height, s.near, s.low_pass, tile_size, capacity);
    const auto rows = [&](const torch::Tensor& x) {
        return x.unsqueeze(0)
            .repeat({routes, 1, 1, 1})
            .reshape(x.dim() == 2 ? std::vector<int64_t>{routes, x.size(0), x.size(1)}
                                  : std::vector<int64_t>{routes, x.size(0), x.size(1), x.size(2)});
    };
    return {rows(s.center),
            rows(s.tangents),
            rows(s.opacity),
            s.features,
            torch::tensor(channel_route, torch::kLong),
            s.intrinsics,
            tiles.offsets,
            tiles.indices,
            s.width,
            s.height,
            tile_size,
            s.near,
            s.low_pass,
            tiles.level};
}

/// The same for the CPU backend.
raster::RasterizeInputs on_cpu(raster::RasterizeInputs in, const Scene& s) {
    const auto tiles = s.tiles(16);
    in.offsets = tiles.offsets;
    in.indices = tiles.indices;
    in.tile_size = 16;
    in.level = torch::Tensor();
    return in;
}

std::vector<int64_t> one_route(const Scene& s) {
    return std::vector<int64_t>(static_cast<size_t>(s.features.size(1)), 0);
}

raster::RasterizeCotangents random_cotangents(const raster::RasterizeInputs& in,
                                              const raster::RasterizeOutputs& out, uint64_t seed) {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    const auto like = [&](const std::vector<int64_t>& shape) {
        return torch::randn(shape, generator, torch::kDouble).to(in.center.scalar_type());
    };
    const int64_t routes = in.center.size(0);
    return {like({in.features.size(1), in.height, in.width}),
            like({routes, 1, in.height, in.width}),
            like({routes, 1, in.height, in.width}),
            out.transmittance,
            out.last,
            true};
}

std::vector<torch::Tensor> all(const raster::RasterizeOutputs& out) {
    return {out.image, out.alpha, out.depth, out.transmittance};
}
std::vector<torch::Tensor> all(const raster::RasterizeGradients& g) {
    return {g.center, g.tangents, g.opacity, g.features, g.intrinsics};
}

/// Largest difference of any output and of any gradient, relative to the largest of its kind.
struct Difference {
    double forward = 0, backward = 0;
};

double relative(const torch::Tensor& a, const torch::Tensor& b) {
    if (a.sizes() != b.sizes()) return INFINITY;
    if (a.numel() == 0) return 0;
    const double scale = std::max(b.abs().max().item<double>(), 1e-30);
    const double difference = (a - b).abs().max().item<double>();
    return std::isfinite(difference) ? difference / scale : INFINITY;
}

Difference compare(const raster::RasterizeInputs& device, const Scene& s, bool image = true,
                   bool alpha = true, bool depth = true) {
    const auto host = on_cpu(device, s);
    const auto ours = shim_rasterize(device);
    const auto theirs = raster::rasterize_cpu(host);
    auto cotangents = random_cotangents(device, ours, 3);
    if (!image) cotangents.image = torch::Tensor();
    if (!alpha) cotangents.alpha = torch::Tensor();
    if (!depth) cotangents.depth = torch::Tensor();
    auto host_cotangents = cotangents;
    host_cotangents.transmittance = theirs.transmittance;
    host_cotangents.last = theirs.last;
    const auto our_gradients = all(shim_rasterize_backward(device, cotangents)),
               their_gradients = all(raster::rasterize_cpu_backward(host, host_cotangents));
    const auto our_outputs = all(ours), their_outputs = all(theirs);
    Difference worst;
    for (size_t i = 0; i < our_outputs.size(); ++i)
        worst.forward = std::max(worst.forward, relative(our_outputs[i], their_outputs[i]));
    for (size_t i = 0; i < our_gradients.size(); ++i)
        worst.backward = std::max(worst.backward, relative(our_gradients[i], their_gradients[i]));
    return worst;
}

}  // namespace

TEST_CASE("the kernels draw and differentiate as the CPU backend does, in double", "[raster]") {
    // Partial tiles, empty tiles; no channel, few, more than a warp, more than three groups, more
    // than a warp of the backward stages.
    for (const int64_t channels : {0, 1, 3, 17, 33, 36, 130, 200}) {
        const auto scene = random_scene(71 + static_cast<uint64_t>(channels), 60, channels, 61, 43);
        const auto difference = compare(device_inputs(scene, one_route(scene)), scene);
        CAPTURE(channels);
        REQUIRE(difference.forward <= 1e-13);
        REQUIRE(difference.backward <= 1e-12);
    }
}

TEST_CASE("the kernels agree with the CPU backend in float", "[raster]") {
    const auto scene = random_scene(75, 200, 36, 45, 38, 0.6, 3).to(torch::kFloat);
    const auto difference = compare(device_inputs(scene, one_route(scene)), scene);
    CAPTURE(difference.forward, difference.backward);
    REQUIRE(difference.forward <= 2e-6);
    REQUIRE(difference.backward <= 2e-5);
}

TEST_CASE("routes share one pass of the kernels as they do on the CPU", "[raster]") {
    const auto scene = random_scene(76, 60, 11, 40, 33);
    for (const int64_t routes : {2, 3, 4, 6}) {
        std::vector<int64_t> route;
        for (int64_t c = 0; c < 11; ++c) route.push_back(c * routes / 11 - (c == 10 ? routes : 0));
        route.back() = -1;
        const auto difference = compare(device_inputs(scene, route, routes), scene);
        CAPTURE(routes);
        REQUIRE(difference.backward <= 1e-12);
    }
}

TEST_CASE("one pass for all routes equals a pass per route", "[raster]") {
    const auto scene = random_scene(77, 80, 9, 40, 33);
    const std::vector<int64_t> route = {0, 0, 0, 1, 1, 1, 2, 2, 2};
    const auto together = device_inputs(scene, route, 3);
    const auto out = shim_rasterize(together);
    const auto cotangents = random_cotangents(together, out, 4);
    const auto g = shim_rasterize_backward(together, cotangents);
    torch::Tensor features = torch::zeros_like(g.features),
                  intrinsics = torch::zeros({4}, torch::kDouble);
    for (int64_t r = 0; r < 3; ++r) {
        auto alone = device_inputs(scene, one_route(scene));
        auto own = cotangents;
        own.image = torch::zeros_like(cotangents.image);
        own.image.slice(0, 3 * r, 3 * r + 3).copy_(cotangents.image.slice(0, 3 * r, 3 * r + 3));
        own.alpha = cotangents.alpha.slice(0, r, r + 1);
        own.depth = cotangents.depth.slice(0, r, r + 1);
        const auto single = shim_rasterize_backward(alone, own);
        REQUIRE(relative(g.center[r], single.center[0]) <= 1e-13);
        REQUIRE(relative(g.tangents[r], single.tangents[0]) <= 1e-13);
        REQUIRE(relative(g.opacity[r], single.opacity[0]) <= 1e-13);
        features += single.features;
        intrinsics += single.intrinsics;
    }
    REQUIRE(relative(g.features, features) <= 1e-13);
    REQUIRE(relative(g.intrinsics, intrinsics) <= 1e-12);
}

TEST_CASE("channels whose routes alternate come out right", "[raster]") {
    const auto scene = random_scene(78, 40, 40, 24, 24);
    std::vector<int64_t> route;
    for (int64_t c = 0; c < 40; ++c) route.push_back(c % 4 - 1);
    REQUIRE(compare(device_inputs(scene, route, 3), scene).backward <= 1e-12);
}

TEST_CASE("outputs without a cotangent take no part on a GPU", "[raster]") {
    const auto scene = random_scene(79, 40, 5, 33, 20);
    const auto in = device_inputs(scene, one_route(scene));
    REQUIRE(compare(in, scene, false, true, true).backward <= 1e-12);
    REQUIRE(compare(in, scene, true, false, false).backward <= 1e-12);
    REQUIRE(compare(in, scene, false, false, true).backward <= 1e-12);
}

TEST_CASE("no result of a kernel depends on the order of its threads", "[raster]") {
    const auto scene = random_scene(80, 120, 36, 37, 29).to(torch::kFloat);
    std::vector<torch::Tensor> first;
    for (const uint64_t seed : {0, 1, 2, 3}) {
        cuda_shim::set_schedule(seed);
        const auto in = device_inputs(scene, one_route(scene));
        const auto out = shim_rasterize(in);
        auto results = all(shim_rasterize_backward(in, random_cotangents(in, out, 5)));
        for (const auto& x : all(out)) results.push_back(x);
        results.push_back(in.offsets);
        results.push_back(in.indices);
        if (first.empty()) first = results;
        for (size_t i = 0; i < results.size(); ++i) REQUIRE(torch::equal(results[i], first[i]));
    }
    cuda_shim::set_schedule(0);
}

TEST_CASE("find_tiles on a GPU makes the lists of the CPU", "[raster]") {
    for (const int64_t size : {8, 16, 64}) {
        const auto s = random_scene(81, 300, 1, 203, 77, 0.5, 6).to(torch::kFloat);
        const auto expected = s.tiles(size);
        const auto tiles = shim_find_tiles(s.center, s.tangents, s.opacity, s.intrinsics, s.width,
                                           s.height, s.near, s.low_pass, size, 20000);
        REQUIRE(tiles.level.item<int32_t>() == 0);
        REQUIRE(torch::equal(tiles.offsets, expected.offsets));
        const int64_t intersections = expected.indices.numel();
        REQUIRE(torch::equal(tiles.indices.slice(0, 0, intersections), expected.indices));
    }
}

TEST_CASE("more surfels and tiles than a 32-bit key holds are sorted by a wider one", "[raster]") {
    const int64_t n = int64_t{65537} * 2;
    const auto s = random_scene(82, n, 0, 2048, 1024, 0.3, 0.5).to(torch::kFloat);
    const auto expected = s.tiles(8);
    const auto tiles = shim_find_tiles(s.center, s.tangents, s.opacity, s.intrinsics, s.width,
                                       s.height, s.near, s.low_pass, 8, expected.indices.numel());
    REQUIRE(tiles.level.item<int32_t>() == 0);
    REQUIRE(torch::equal(tiles.offsets, expected.offsets));
    REQUIRE(torch::equal(tiles.indices.slice(0, 0, expected.indices.numel()), expected.indices));
}

TEST_CASE("surfels too large for the lists go to larger tiles, and the drawing stays", "[raster]") {
    const auto s = random_scene(83, 90, 5, 61, 43, 2, 9);
    const auto exact = device_inputs(s, one_route(s), 1, 8, 5000);
    REQUIRE(exact.level.item<int32_t>() == 0);
    const auto drawn = shim_rasterize(exact);
    const auto gradients_of = [&](const raster::RasterizeInputs& in,
                                  const raster::RasterizeOutputs& out) {
        return all(shim_rasterize_backward(in, random_cotangents(in, out, 6)));
    };
    const auto expected = gradients_of(exact, drawn);
    for (const auto& [capacity, level] : {std::pair<int64_t, int32_t>{1000, 1}, {90, 3}}) {
        const auto in = device_inputs(s, one_route(s), 1, 8, capacity);
        REQUIRE(in.level.item<int32_t>() == level);
        const auto out = shim_rasterize(in);
        REQUIRE(torch::equal(out.image, drawn.image));
        REQUIRE(torch::equal(out.depth, drawn.depth));
        const auto g = gradients_of(in, out);
        for (size_t i = 0; i < g.size(); ++i) REQUIRE(relative(g[i], expected[i]) <= 1e-12);
    }
}

TEST_CASE("nothing to draw launches nothing and comes out empty", "[raster]") {
    auto s = random_scene(84, 3, 2);
    s = s.select(torch::empty({0}, torch::kLong));
    const int64_t before = cuda_shim::launches();
    const auto in = device_inputs(s, {0, 0});
    const auto out = shim_rasterize(in);
    REQUIRE(out.image.abs().max().item<double>() == 0);
    REQUIRE(out.transmittance.min().item<double>() == 1);
    const auto g = shim_rasterize_backward(in, random_cotangents(in, out, 7));
    REQUIRE(cuda_shim::launches() == before);
    REQUIRE(g.center.numel() == 0);
    REQUIRE(g.intrinsics.abs().max().item<double>() == 0);
}

TEST_CASE("surfels that cannot be drawn are left out on a GPU as on the CPU", "[raster]") {
    auto s = random_scene(85, 30, 3);
    s.center[0][2] = NAN;
    s.tangents[1][0][0] = INFINITY;
    s.opacity[2][0] = 0.001;
    s.center[3][2] = -1;
    s.features[4][1] = NAN;
    s.center[5][0] = 1e30;
    const auto difference = compare(device_inputs(s, one_route(s)), s);
    REQUIRE(difference.forward <= 1e-13);
    REQUIRE(difference.backward <= 1e-12);
}

TEST_CASE("lists that are no lists stop the kernels before they read astray", "[raster]") {
    const auto s = random_scene(86, 20, 3).to(torch::kFloat);
    const auto good = device_inputs(s, one_route(s));
    auto in = good;
    in.indices = torch::full_like(good.indices, 20);
    REQUIRE_THROWS(shim_rasterize(in));
    in.indices = torch::full_like(good.indices, -1);
    REQUIRE_THROWS(shim_rasterize(in));
    in = good;
    in.offsets = good.offsets + 1000000;
    REQUIRE_THROWS(shim_rasterize(in));
}

TEST_CASE("the lists may be in any order when gradients are added up", "[raster]") {
    const auto s = random_scene(87, 1, 2, 16, 16);
    auto two = join(s, s);  // equal surfels: their order does not change the drawing
    auto in = device_inputs(two, one_route(two));
    const auto out = shim_rasterize(in);
    const auto expected = all(shim_rasterize_backward(in, random_cotangents(in, out, 8)));
    in.indices = (1 - in.indices).clamp_min(0).contiguous();
    const auto flipped = all(shim_rasterize_backward(in, random_cotangents(in, out, 8)));
    REQUIRE(relative(flipped[0][0][0], expected[0][0][1]) <= 1e-13);
    REQUIRE(relative(flipped[0][0][1], expected[0][0][0]) <= 1e-13);
}

TEST_CASE("what the GPU cannot do is refused", "[raster]") {
    const auto s = random_scene(88, 5, 1);
    REQUIRE(throws_error(
        [&] {
            shim_find_tiles(s.center, s.tangents, s.opacity, s.intrinsics, s.width, s.height,
                            s.near, s.low_pass, 12);
        },
        "a multiple of 8"));
    auto in = device_inputs(s, one_route(s));
    in.tile_size = 4;
    REQUIRE(throws_error([&] { shim_rasterize(in); }, "a multiple of 8"));
}

TEST_CASE("a barrier that a thread never reaches is found", "[raster]") {
    const auto half = [] {
        if (threadIdx.x < 16) __syncwarp();
    };
    REQUIRE_THROWS(cuda_shim::run(dim3(1), dim3(32), 0, half));
    const auto part = [] { __shfl_sync(0xffffu, 1, 0); };
    REQUIRE_THROWS(cuda_shim::run(dim3(1), dim3(32), 0, part));
}

#if defined(__SANITIZE_THREAD__)
#define FMGS_RACE "[.race]"  // run by tests/tsan, which wants it reported
#else
#define FMGS_RACE "[race]"
#endif
TEST_CASE("a missing barrier shows when the order of threads changes", FMGS_RACE) {
    // Each lane reads its neighbour's word of shared memory without waiting for it.
    const auto result = [](uint64_t seed) {
        cuda_shim::set_schedule(seed);
        int sum = 0;
        static int words[32];
        std::fill(words, words + 32, 0);
        const auto race = [&] {
            words[threadIdx.x] = static_cast<int>(threadIdx.x);
            sum += words[(threadIdx.x + 1) % 32];
        };
        REQUIRE(cuda_shim::run(dim3(1), dim3(32), 0, race) == cudaSuccess);
        cuda_shim::set_schedule(0);
        return sum;
    };
    REQUIRE(result(1) != result(2));
}
