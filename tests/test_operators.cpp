// Every operator called by its name through the dispatcher, as another language calls it, against
// the C++ function that stands for it; and its shapes on meta tensors.
#include <ATen/core/dispatch/Dispatcher.h>
#include <fmgs/fields/hash/hash_encode.h>
#include <fmgs/losses/photometric.h>

#include "support/raster_probe.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

using torch::Tensor;

/// Calls an operator with values that it knows nothing about; returns its tensors.
template <class... Arguments>
std::vector<Tensor> call(const char* name, const Arguments&... arguments) {
    torch::jit::Stack stack{c10::IValue(arguments)...};
    c10::Dispatcher::singleton().findSchemaOrThrow(name, "").callBoxed(stack);
    std::vector<Tensor> out;
    for (const auto& value : stack) out.push_back(value.toTensor());
    return out;
}

void require_equal(const std::vector<Tensor>& ours, const std::vector<Tensor>& theirs) {
    REQUIRE(ours.size() == theirs.size());
    for (size_t i = 0; i < ours.size(); ++i) {
        CAPTURE(i);
        REQUIRE(torch::equal(ours[i], theirs[i]));
    }
}

std::vector<Tensor> tiles_by_name(const Scene& s, int64_t tile_size) {
    return call("fmgs::find_tiles", s.center, s.tangents, s.opacity, s.intrinsics, s.width,
                s.height, s.near, s.low_pass, tile_size);
}

std::vector<Tensor> draw_by_name(const Scene& s, const std::vector<Tensor>& tiles,
                                 int64_t tile_size) {
    return call("fmgs::rasterize", s.center.unsqueeze(0), s.tangents.unsqueeze(0),
                s.opacity.unsqueeze(0), s.features,
                torch::zeros({s.features.size(1)}, torch::kLong), s.intrinsics, tiles[0], tiles[1],
                tiles[2], s.width, s.height, tile_size, s.near, s.low_pass);
}

/// A hash grid of three levels with some points.
struct Encoding {
    HashGridOptions options{.levels = 3,
                            .features_per_level = 2,
                            .base_resolution = 4,
                            .finest_resolution = 16,
                            .log2_hashmap_size = 9};
    Tensor table, points;

    Encoding() {
        const HashGrid grid(options, torch::tensor({{0.F, 0.F, 0.F}, {1.F, 1.F, 1.F}}), 3);
        table = grid->parameters()[0].detach().clone().requires_grad_(true);
        points = torch::rand({50, 3}, at::make_generator<at::CPUGeneratorImpl>(uint64_t{4}))
                     .requires_grad_(true);
    }
    Tensor by_name(const Tensor& entries, const Tensor& x) const {
        return call("fmgs::hash_encode", entries, x, options.levels, options.base_resolution,
                    options.finest_resolution, options.log2_hashmap_size, c10::List<Tensor>())[0];
    }
};

std::pair<Tensor, Tensor> pictures() {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(uint64_t{5});
    const auto x = torch::rand({3, 40, 50}, generator), y = torch::rand({3, 40, 50}, generator);
    return {x.requires_grad_(true), y.requires_grad_(true)};
}

}  // namespace

TEST_CASE("find_tiles by name is find_tiles", "[operators]") {
    auto scene = random_scene(81, 80, 3, 61, 47).to(torch::kFloat);
    scene.require_gradients();
    for (const int64_t size : {8, 16, 32}) {
        const auto expected = scene.tiles(size);
        const auto tiles = tiles_by_name(scene, size);
        require_equal(tiles, {expected.offsets, expected.indices, expected.level});
        REQUIRE(tiles[1].numel() > 80);
        for (const auto& x : tiles) REQUIRE_FALSE(x.requires_grad());
    }
}

TEST_CASE("rasterize by name is rasterize, gradients included", "[operators]") {
    auto scene = random_scene(82, 80, 5, 61, 47).to(torch::kFloat);
    scene.require_gradients();
    const auto expected = scene.draw();
    const auto out = draw_by_name(scene, tiles_by_name(scene, 16), 16);
    require_equal({out[0], out[1], out[2]}, {expected.image, expected.alpha, expected.depth});
    require_equal(gradients(probe({out[0], out[1], out[2]}), scene.inputs()),
                  gradients(probe(expected), scene.inputs()));
    REQUIRE(out[1].max().item<float>() > 0.5);
}

TEST_CASE("hash_encode by name is hash_encode, gradients included", "[operators]") {
    const Encoding e;
    const auto expected = fmgs::detail::hash_encode(e.table, e.points, e.options, {});
    const auto out = e.by_name(e.table, e.points);
    require_equal({out}, {expected});
    require_equal(gradients(out.square().sum(), {e.table, e.points}),
                  gradients(expected.square().sum(), {e.table, e.points}));
    REQUIRE(out.abs().max().item<float>() > 0);
}

TEST_CASE("ssim by name is what ssim is made of, gradients included", "[operators]") {
    const auto [x, y] = pictures();
    const auto out = call("fmgs::ssim", x, y)[0];
    REQUIRE(out.item<float>() > 1);
    const auto expected = ssim(x, y), same = 1 - out / double(x.numel());
    require_equal({same}, {expected});
    require_equal(gradients(same, {x, y}), gradients(expected, {x, y}));
}

TEST_CASE("no operator has a second derivative, and all say so", "[operators]") {
    auto scene = random_scene(83, 20, 2);
    scene.require_gradients();
    const Encoding e;
    const auto [x, y] = pictures();
    const auto twice = [](const Tensor& value, const Tensor& of) {
        const auto first = torch::autograd::grad({value}, {of}, {}, true, /*create_graph=*/true)[0];
        torch::autograd::grad({first.sum()}, {of});
    };
    REQUIRE(throws_error([&] { twice(scene.draw().alpha.sum(), scene.center); },
                         "rasterize: it has no second derivative"));
    REQUIRE(throws_error([&] { twice(e.by_name(e.table, e.points).square().sum(), e.points); },
                         "hash_encode: it has no second derivative"));
    REQUIRE(throws_error([&, &a = x, &b = y] { twice(ssim(a, b), a); },
                         "ssim: it has no second derivative"));
}

TEST_CASE("meta tensors tell the shapes and types of what an operator returns", "[operators]") {
    const auto same = [](const std::vector<Tensor>& shapes, const std::vector<Tensor>& real) {
        REQUIRE(shapes.size() == real.size());
        for (size_t i = 0; i < real.size(); ++i) {
            CAPTURE(i);
            CHECK(shapes[i].is_meta());
            CHECK(shapes[i].sizes() == real[i].sizes());
            CHECK(shapes[i].strides() == real[i].strides());
            CHECK(shapes[i].scalar_type() == real[i].scalar_type());
        }
    };
    const auto meta = [](const Tensor& x) {
        return x.detach().to(torch::kMeta).requires_grad_(x.requires_grad());
    };
    auto scene = random_scene(84, 30, 4, 37, 29);
    scene.require_gradients();
    auto shapes = scene;
    for (auto* x :
         {&shapes.center, &shapes.tangents, &shapes.opacity, &shapes.features, &shapes.intrinsics})
        *x = meta(*x);
    const auto tiles = tiles_by_name(scene, 16), no_tiles = tiles_by_name(shapes, 16);
    same({no_tiles[0], no_tiles[2]}, {tiles[0], tiles[2]});
    REQUIRE(no_tiles[1].sizes() == torch::IntArrayRef{8 * 30 + 4 * 6});  // as on a GPU
    const auto drawn = draw_by_name(scene, tiles, 16), outline = draw_by_name(shapes, no_tiles, 16);
    same(outline, drawn);
    const auto sum = [](const std::vector<Tensor>& out) {
        return out[0].sum() + out[1].sum() + out[2].sum();
    };
    same(gradients(sum(outline), shapes.inputs()), gradients(sum(drawn), scene.inputs()));

    const Encoding e;
    const auto table = meta(e.table), points = meta(e.points);
    const auto encoded = e.by_name(e.table, e.points), width = e.by_name(table, points);
    same({width}, {encoded});
    same(gradients(width.sum(), {table, points}), gradients(encoded.sum(), {e.table, e.points}));

    const auto [x, y] = pictures();
    const auto a = meta(x), b = meta(y);
    const auto value = call("fmgs::ssim", x, y)[0], nothing = call("fmgs::ssim", a, b)[0];
    same({nothing}, {value});
    same(gradients(nothing, {a, b}), gradients(value, {x, y}));
}

TEST_CASE("a device without kernels is named", "[operators]") {
    check_device(torch::kCPU, "here");
    REQUIRE(throws_error([] { check_device(torch::Device("xla:0"), "here"); },
                         "here: expected tensors on 'cpu'"));
}
