#include <fmgs/raster/rasterize.h>

#include <fmgs/core/check.h>
#include <fmgs/core/operators.h>
#include <fmgs/raster/rasterize_op.h>
#include <fmt/format.h>

namespace fmgs {

using torch::Tensor;

Raster rasterize(const Tensor& center, const Tensor& tangents, const Tensor& opacity,
                 const Tensor& features, const Tensor& channel_route, const Tensor& intrinsics,
                 const Tiles& tiles) {
    for (const auto& [x, name] : {std::pair{center, "center"},
                                  {tangents, "tangents"},
                                  {opacity, "opacity"},
                                  {features, "features"},
                                  {channel_route, "channel_route"},
                                  {intrinsics, "intrinsics"},
                                  {tiles.offsets, "tiles.offsets"},
                                  {tiles.indices, "tiles.indices"}}) {
        if (!x.defined())
            throw Error(
                fmt::format("rasterize: {}: expected a tensor, got an undefined one", name));
    }
    check_device(center.device(), "rasterize");
    static const auto op = detail::find_operator<raster::RasterizeSignature>("fmgs::rasterize");
    auto [image, alpha, depth, transmittance, last] =
        op.call(center, tangents, opacity, features, channel_route, intrinsics, tiles.offsets,
                tiles.indices, tiles.level.defined() ? std::optional(tiles.level) : std::nullopt,
                tiles.width, tiles.height, tiles.size, tiles.near, tiles.low_pass);
    return {image, alpha, depth};
}

}  // namespace fmgs
