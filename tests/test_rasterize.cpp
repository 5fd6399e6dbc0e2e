#include <ATen/Parallel.h>
#include <fmgs/raster/rasterize_op.h>

#include <limits>
#include <set>
#include <thread>

#include "support/reference_raster.h"
#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

/// A scalar that depends on every output with fixed random weights.
torch::Tensor probe(const Raster& out, uint64_t seed = 5) {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    torch::Tensor sum = torch::zeros({}, out.image.options());
    for (const auto& x : {out.image, out.alpha, out.depth})
        sum = sum + (x * torch::randn(x.sizes(), generator, torch::kDouble).to(x.dtype())).sum();
    return sum;
}

std::vector<torch::Tensor> gradients(const torch::Tensor& y, const std::vector<torch::Tensor>& x) {
    return torch::autograd::grad({y}, x, {}, /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/true);
}

double worst_distance(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
    double worst = 0;
    for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, distance(a[i], b[i]));
    return worst;
}

raster::RasterizeInputs operator_inputs(const Scene& s, int64_t tile_size) {
    const auto tiles = s.tiles(tile_size);
    return {s.center.unsqueeze(0), s.tangents.unsqueeze(0), s.opacity.unsqueeze(0), s.features,
            torch::zeros({s.features.size(1)}, torch::kLong), s.intrinsics, tiles.offsets, tiles.indices, s.width, s.height, tile_size, s.near};
}

constexpr auto kPortable = raster::InstructionSet::portable;

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
