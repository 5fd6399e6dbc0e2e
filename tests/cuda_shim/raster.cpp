// The sources of the CUDA rasterizer as one C++ file. The names of its entry points are changed,
// for programs that link the real ones too.
#define rasterize_cuda shim_rasterize_cuda
#define rasterize_cuda_backward shim_rasterize_cuda_backward
#define find_tiles_cuda shim_find_tiles_cuda
// clang-format off
#include <fmgs/raster/cuda/composite_kernels.cu>
#include <fmgs/raster/cuda/composite_backward_kernels.cu>
#include <fmgs/raster/cuda/reduce_kernels.cu>
#include <fmgs/raster/cuda/tiles_kernels.cu>
#include <fmgs/raster/cuda/sort_kernels.cu>
#include <fmgs/raster/cuda/composite_cuda.cpp>  // NOLINT(bugprone-suspicious-include)
#include <fmgs/raster/cuda/tiles_cuda.cpp>  // NOLINT(bugprone-suspicious-include)
// clang-format on

#include "cuda_shim/raster.h"

namespace fmgs::test {

raster::RasterizeOutputs shim_rasterize(const raster::RasterizeInputs& in) {
    return in.center.scalar_type() == torch::kFloat ? raster::forward_on_device<float>(in)
                                                    : raster::forward_on_device<double>(in);
}

raster::RasterizeGradients shim_rasterize_backward(const raster::RasterizeInputs& in,
                                                   const raster::RasterizeCotangents& cotangents) {
    return in.center.scalar_type() == torch::kFloat
               ? raster::backward_on_device<float>(in, cotangents)
               : raster::backward_on_device<double>(in, cotangents);
}

Tiles shim_find_tiles(const torch::Tensor& center, const torch::Tensor& tangents,
                      const torch::Tensor& opacity, const torch::Tensor& intrinsics, int64_t width,
                      int64_t height, double near, double low_pass, int64_t tile_size,
                      int64_t capacity) {
    const raster::TilesInputs in{center, tangents, opacity,  intrinsics, width,
                                 height, near,     low_pass, tile_size};
    const auto out = center.scalar_type() == torch::kFloat
                         ? raster::bin_on_device<float>(in, capacity)
                         : raster::bin_on_device<double>(in, capacity);
    return {out.offsets, out.indices, out.level, width, height, tile_size, near, low_pass};
}

}  // namespace fmgs::test
