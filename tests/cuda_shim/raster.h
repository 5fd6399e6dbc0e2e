#pragma once
/// The CUDA rasterizer run on CPU tensors by cuda_runtime.h's stand-in; float or double.
#include <fmgs/raster/rasterize.h>
#include <fmgs/raster/rasterize_op.h>

namespace fmgs::test {

raster::RasterizeOutputs shim_rasterize(const raster::RasterizeInputs& in);
raster::RasterizeGradients shim_rasterize_backward(const raster::RasterizeInputs& in,
                                                   const raster::RasterizeCotangents& cotangents);
/// As fmgs::find_tiles; `capacity` as if so many intersections fitted, 0: as many as on a device.
Tiles shim_find_tiles(const torch::Tensor& center, const torch::Tensor& tangents,
                      const torch::Tensor& opacity, const torch::Tensor& intrinsics, int64_t width,
                      int64_t height, double near, double low_pass, int64_t tile_size = 8,
                      int64_t capacity = 0);

}  // namespace fmgs::test
