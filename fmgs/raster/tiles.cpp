#include <fmgs/core/check.h>
#include <fmgs/core/operators.h>
#include <fmgs/raster/rasterize.h>
#include <fmgs/raster/tiles_op.h>
#include <fmt/format.h>

#include <cmath>

namespace fmgs {

void raster::check_inputs(const TilesInputs& in) {
    check_shape(in.center, {-1, 3}, "find_tiles: center");
    check_shape(in.tangents, {in.center.size(0), 3, 2}, "find_tiles: tangents");
    check_shape(in.opacity, {in.center.size(0), 1}, "find_tiles: opacity");
    check_shape(in.intrinsics, {4}, "find_tiles: intrinsics");
    if (in.width < 1 || in.height < 1 || in.width > (1 << 20) || in.height > (1 << 20))
        throw Error(fmt::format("find_tiles: expected a size of 1 to 2^20 pixels, got {} x {}",
                                in.width, in.height));
    if (in.tile_size < 1 || in.tile_size > 64)
        throw Error(
            fmt::format("find_tiles: expected a tile size of 1 to 64, got {}", in.tile_size));
    if (!(in.low_pass > 0) || !std::isfinite(in.low_pass))
        throw Error(fmt::format(
            "find_tiles: low_pass: expected a positive number of pixels, got {}", in.low_pass));
    if (!(in.near >= 0))
        throw Error(fmt::format("find_tiles: expected near >= 0, got {}", in.near));
    for (const auto& x : {in.tangents, in.opacity, in.intrinsics}) {
        if (x.scalar_type() != in.center.scalar_type() || x.device() != in.center.device())
            throw Error(
                fmt::format("find_tiles: expected one dtype and device, got {} on {} and {} on {}",
                            toString(in.center.scalar_type()), in.center.device().str(),
                            toString(x.scalar_type()), x.device().str()));
    }
}

Tiles find_tiles(const torch::Tensor& center, const torch::Tensor& tangents,
                 const torch::Tensor& opacity, const torch::Tensor& intrinsics, int64_t width,
                 int64_t height, double near, double low_pass, int64_t tile_size) {
    check_shape(center, {-1, 3}, "find_tiles: center");
    check_device(center.device(), "find_tiles");
    static const auto op = detail::find_operator<raster::FindTilesSignature>("fmgs::find_tiles");
    Tiles tiles;
    tiles.width = width;
    tiles.height = height;
    tiles.size = tile_size == 0 ? (center.is_cpu() ? 32 : 8) : tile_size;
    tiles.near = near;
    tiles.low_pass = low_pass;
    std::tie(tiles.offsets, tiles.indices, tiles.level) =
        op.call(center, tangents, opacity, intrinsics, width, height, near, low_pass, tiles.size);
    return tiles;
}

}  // namespace fmgs
