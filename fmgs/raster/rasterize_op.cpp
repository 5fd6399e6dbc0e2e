#include <fmgs/raster/rasterize_op.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#include <cmath>

namespace fmgs::raster {
namespace {

using torch::Tensor;

void check_same(const Tensor& x, const Tensor& like, const char* name) {
    if (x.scalar_type() != like.scalar_type() || x.device() != like.device())
        throw Error(fmt::format("rasterize: {}: expected {} on {} as center, got {} on {}", name,
                                toString(like.scalar_type()), like.device().str(),
                                toString(x.scalar_type()), x.device().str()));
}

void check_index(const Tensor& x, torch::ScalarType type, const Tensor& center, const char* name) {
    if (x.scalar_type() != type || x.device() != center.device())
        throw Error(fmt::format("rasterize: {}: expected {} on {}, got {} on {}", name,
                                toString(type), center.device().str(), toString(x.scalar_type()),
                                x.device().str()));
}

/// Offsets must rise from 0 to the number of indices, and indices must name surfels: both are used
/// as addresses.
void check_tiles(const RasterizeInputs& in) {
    if (in.width < 1 || in.height < 1 || in.tile_size < 1 || in.tile_size > 64)
        throw Error(fmt::format(
            "rasterize: expected a size of at least 1 x 1 pixels and tiles of 1 to 64, got {} x {} "
            "and {}",
            in.width, in.height, in.tile_size));
    const auto tiles = [&](int64_t n) { return (n + in.tile_size - 1) / in.tile_size; };
    check_shape(in.offsets, {tiles(in.width) * tiles(in.height) + 1}, "rasterize: tiles.offsets");
    check_shape(in.indices, {-1}, "rasterize: tiles.indices");
    check_index(in.offsets, torch::kInt, in.center, "tiles.offsets");
    check_index(in.indices, torch::kInt, in.center, "tiles.indices");
    if (in.indices.numel() > INT32_MAX)
        throw Error(fmt::format("rasterize: tiles.indices: at most {} fit", INT32_MAX));
    if (in.level.defined()) {
        check_shape(in.level, {1}, "rasterize: tiles.level");
        check_index(in.level, torch::kInt, in.center, "tiles.level");
    }
    if (!in.center.is_cpu())
        return;  // a device backend checks in its kernels rather than wait for a copy
    if (in.level.defined() && in.level.const_data_ptr<int32_t>()[0] != 0)
        throw Error(fmt::format("rasterize: tiles.level: expected none or 0 on the CPU, got {}",
                                in.level.const_data_ptr<int32_t>()[0]));
    const auto offsets = in.offsets.contiguous(), indices = in.indices.contiguous();
    const int32_t *o = offsets.const_data_ptr<int32_t>(), *p = indices.const_data_ptr<int32_t>();
    bool rising = o[0] == 0 && o[offsets.numel() - 1] == indices.numel();
    for (int64_t i = 0; i + 1 < offsets.numel(); ++i) rising = rising && o[i] <= o[i + 1];
    if (!rising)
        throw Error(fmt::format(
            "rasterize: tiles.offsets: expected values rising from 0 to {}; use find_tiles",
            indices.numel()));
    const int64_t n = in.center.size(1);
    for (int64_t i = 0; i < indices.numel(); ++i) {
        if (p[i] < 0 || p[i] >= n)
            throw Error(fmt::format(
                "rasterize: tiles.indices[{}]: expected a surfel in [0,{}), got {}; find_tiles was "
                "given other surfels?",
                i, n, p[i]));
    }
}

/// Each channel belongs to a route, or to none.
void check_route(const RasterizeInputs& in) {
    const int64_t routes = in.center.size(0);
    if (in.channel_route.scalar_type() != torch::kLong || !in.channel_route.is_cpu())
        throw Error(fmt::format("rasterize: channel_route: expected int64 on cpu, got {} on {}",
                                toString(in.channel_route.scalar_type()),
                                in.channel_route.device().str()));
    const auto route = in.channel_route.contiguous();
    for (int64_t k = 0; k < route.numel(); ++k) {
        const int64_t r = route.const_data_ptr<int64_t>()[k];
        if (r < -1 || r >= routes)
            throw Error(fmt::format(
                "rasterize: channel_route[{}]: expected a route in [0,{}) or -1, got {}", k, routes,
                r));
    }
}

}  // namespace

void check_inputs(const RasterizeInputs& in) {
    if (!in.center.defined() || in.center.dim() != 3)
        throw Error(fmt::format(
            "rasterize: center: expected [R,N,3], got {}",
            in.center.defined() ? shape_text(in.center.sizes()) : "an undefined tensor"));
    const int64_t routes = in.center.size(0), n = in.center.size(1);
    if (routes < 1)
        throw Error(fmt::format("rasterize: center: expected at least one route, got {}",
                                shape_text(in.center.sizes())));
    check_shape(in.center, {routes, n, 3}, "rasterize: center");
    check_shape(in.tangents, {routes, n, 3, 2}, "rasterize: tangents");
    check_shape(in.opacity, {routes, n, 1}, "rasterize: opacity");
    check_shape(in.features, {n, -1}, "rasterize: features");
    check_shape(in.channel_route, {in.features.size(1)}, "rasterize: channel_route");
    check_shape(in.intrinsics, {4}, "rasterize: intrinsics");
    if (in.center.scalar_type() != torch::kFloat && in.center.scalar_type() != torch::kDouble)
        throw Error(fmt::format("rasterize: center: expected float or double, got {}",
                                toString(in.center.scalar_type())));
    check_same(in.tangents, in.center, "tangents");
    check_same(in.opacity, in.center, "opacity");
    check_same(in.features, in.center, "features");
    check_same(in.intrinsics, in.center, "intrinsics");
    check_route(in);
    if (!(in.near >= 0)) throw Error(fmt::format("rasterize: expected near >= 0, got {}", in.near));
    if (!(in.low_pass > 0) || !std::isfinite(in.low_pass))
        throw Error(fmt::format("rasterize: low_pass: expected a positive number of pixels, got {}",
                                in.low_pass));
    check_tiles(in);
}

void check_cotangents(const RasterizeCotangents& cotangents, const RasterizeInputs& in) {
    check_shape(cotangents.last, {-1, -1}, "rasterize: last");
    check_inputs(in);
    check_shape(cotangents.transmittance, {in.height, in.width}, "rasterize: transmittance");
    check_same(cotangents.transmittance, in.center, "transmittance");
    check_index(cotangents.last, torch::kInt, in.center, "last");
    const auto check = [&](const Tensor& g, std::initializer_list<int64_t> shape,
                           const char* name) {
        if (!g.defined()) return;
        check_shape(g, shape, name);
        check_same(g, in.center, name);
    };
    const int64_t routes = in.center.size(0), height = in.height, width = in.width;
    check(cotangents.image, {in.features.size(1), height, width}, "rasterize: gradient of image");
    check(cotangents.alpha, {routes, 1, height, width}, "rasterize: gradient of alpha");
    check(cotangents.depth, {routes, 1, height, width}, "rasterize: gradient of depth");
}

}  // namespace fmgs::raster
