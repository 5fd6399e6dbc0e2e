// The CPU backend and the registered operator: threads, tiles, cotangents, checks.
#include <ATen/Parallel.h>
#include <fmgs/raster/cpu/rasterize_cpu.h>

#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include "support/raster_probe.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {
std::mutex seen_mutex;
std::set<std::thread::id> seen_threads;

/// Draws a tile once two threads have come this far, or after five seconds.
void draw_and_note(const raster::ForwardTile<float>& tile) {
    for (int i = 0; i < 500; ++i) {
        {
            const std::lock_guard lock(seen_mutex);
            seen_threads.insert(std::this_thread::get_id());
            if (seen_threads.size() > 1) break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    raster::tile_backend().single.forward(tile);
}

struct ThreadCount {
    int before = at::get_num_threads();
    explicit ThreadCount(int count) { at::set_num_threads(count); }
    ~ThreadCount() { at::set_num_threads(before); }
};
}  // namespace

TEST_CASE("tiles are drawn by more than one thread", "[raster]") {
    const ThreadCount two(2);
    auto backend = raster::tile_backend();
    backend.single.forward = &draw_and_note;
    seen_threads.clear();
    raster::rasterize_cpu(operator_inputs(random_scene(51, 60, 3, 64, 64).to(torch::kFloat), 16),
                          backend);
    REQUIRE(seen_threads.size() == 2);
}

TEST_CASE("image and gradients have the same bits for any number of threads", "[raster]") {
    auto scene = random_scene(52, 3000, 7, 96, 80, 0.5, 3).to(torch::kFloat);
    scene.require_gradients();
    std::vector<torch::Tensor> first;
    for (const int threads : {1, 2, 3, 5}) {
        const ThreadCount count(threads);
        const auto out = scene.draw();
        auto all = gradients(probe(out), scene.inputs());
        for (const auto& x : {out.image, out.alpha, out.depth}) all.push_back(x);
        if (first.empty()) first = all;
        for (size_t i = 0; i < all.size(); ++i) REQUIRE(torch::equal(all[i], first[i]));
    }
}

TEST_CASE("many surfels are listed by several threads, in the same order", "[raster]") {
    const auto scene = random_scene(54, 70000, 0, 96, 80, 0.5, 1).to(torch::kFloat);
    fmgs::Tiles first;
    for (const int threads : {1, 2, 3}) {
        const ThreadCount count(threads);
        const auto tiles = scene.tiles(8);
        if (threads == 1) first = tiles;
        REQUIRE(torch::equal(tiles.offsets, first.offsets));
        REQUIRE(torch::equal(tiles.indices, first.indices));
    }
    // Front to back within each tile, and of equal depth in the order of the surfels.
    const auto depth = scene.center.select(1, 2).index_select(0, first.indices.to(torch::kLong));
    const int32_t* offsets = first.offsets.data_ptr<int32_t>();
    for (int64_t t = 0; t + 1 < first.offsets.numel(); ++t) {
        const auto z = depth.slice(0, offsets[t], offsets[t + 1]);
        if (z.numel() > 1) REQUIRE((z.diff() >= 0).all().item<bool>());
    }
}

TEST_CASE("the image is the same for every tile size, bit by bit", "[raster]") {
    const auto scene = random_scene(53, 200, 5, 61, 47).to(torch::kFloat);
    const auto first = scene.draw(16);
    for (const int64_t size : {5, 8, 32, 64}) {
        const auto out = scene.draw(size);
        REQUIRE(torch::equal(out.image, first.image));
        REQUIRE(torch::equal(out.depth, first.depth));
    }
}

TEST_CASE("the feature gradient is the adjoint of the drawing", "[raster]") {
    auto scene = random_scene(61, 90, 9, 40, 33);
    scene.require_gradients();
    const auto out = scene.draw();
    const auto cotangent = torch::randn(
        out.image.sizes(), at::make_generator<at::CPUGeneratorImpl>(1), torch::kDouble);
    const auto transposed = torch::autograd::grad({out.image}, {scene.features}, {cotangent})[0];
    const double left = (out.image * cotangent).sum().item<double>(),
                 right = (scene.features * transposed).sum().item<double>();
    REQUIRE(std::abs(left - right) <= 1e-11 * (1 + std::abs(left)));
}

TEST_CASE("outputs without a cotangent take no part", "[raster]") {
    auto scene = random_scene(62, 40, 3);
    scene.require_gradients();
    const auto alone = gradients(scene.draw().alpha.sum(), scene.inputs());
    const auto out = scene.draw();
    const auto with_zero =
        gradients(out.alpha.sum() + 0 * out.image.sum() + 0 * out.depth.sum(), scene.inputs());
    REQUIRE(worst_distance(alone, with_zero) <= 1e-14);
    REQUIRE(alone[3].abs().max().item<double>() == 0);
}

TEST_CASE("a second derivative raises", "[raster]") {
    auto scene = random_scene(63, 10, 2);
    scene.require_gradients();
    const auto first = torch::autograd::grad({scene.draw().alpha.sum()}, {scene.center}, {}, true,
                                             /*create_graph=*/true)[0];
    REQUIRE(throws_error([&] { torch::autograd::grad({first.sum()}, {scene.center}); },
                         "second derivative"));
}

namespace {

/// What rasterize is given.
struct Arguments {
    torch::Tensor center, tangents, opacity, features, route, intrinsics;
    Tiles tiles;

    explicit Arguments(const Scene& s)
        : center(s.center.unsqueeze(0)),
          tangents(s.tangents.unsqueeze(0)),
          opacity(s.opacity.unsqueeze(0)),
          features(s.features.clone()),
          route(torch::zeros({s.features.size(1)}, torch::kLong)),
          intrinsics(s.intrinsics.clone()),
          tiles(s.tiles()) {}
};

/// Does rasterize name what is wrong after this change?
bool names(void (*change)(Arguments&), const char* words) {
    Arguments a(random_scene(64, 10, 3));
    change(a);
    return throws_error(
        [&] {
            rasterize(a.center, a.tangents, a.opacity, a.features, a.route, a.intrinsics, a.tiles);
        },
        words);
}

}  // namespace

TEST_CASE("wrong tensors are named", "[raster]") {
    using A = Arguments;
    REQUIRE(names([](A& a) { a.center = a.center[0]; }, "center: expected [R,N,3], got [10,3]"));
    REQUIRE(names([](A& a) { a.center = torch::Tensor(); }, "center: expected a tensor"));
    REQUIRE(names([](A& a) { a.tangents = a.tangents.transpose(2, 3); },
                  "tangents: expected [1,10,3,2], got [1,10,2,3]"));
    REQUIRE(
        names([](A& a) { a.opacity = a.opacity.to(torch::kFloat); }, "opacity: expected Double"));
    REQUIRE(names([](A& a) { a.features = a.features.slice(0, 1); },
                  "features: expected [10,any], got [9,3]"));
    REQUIRE(names([](A& a) { a.route = a.route + 1; },
                  "channel_route[0]: expected a route in [0,1) or -1, got 1"));
    REQUIRE(names([](A& a) { a.intrinsics = a.intrinsics.slice(0, 1); },
                  "intrinsics: expected [4], got [3]"));
}

TEST_CASE("wrong tiles are named", "[raster]") {
    using A = Arguments;
    REQUIRE(
        names([](A& a) { a.tiles.indices = a.tiles.indices + 5; }, "expected a surfel in [0,10)"));
    REQUIRE(names([](A& a) { a.tiles.offsets = a.tiles.offsets + 1; }, "rising from 0"));
    REQUIRE(names([](A& a) { a.tiles.level = a.tiles.level + 1; }, "tiles.level"));
    REQUIRE(names([](A& a) { a.tiles.size = 8; }, "tiles.offsets: expected [17]"));
    REQUIRE(names([](A& a) { a.tiles.width = 0; }, "at least 1 x 1"));
    REQUIRE(names([](A& a) { a.tiles.near = NAN; }, "near"));
    REQUIRE(names([](A& a) { a.tiles.low_pass = 0; }, "low_pass"));
}
