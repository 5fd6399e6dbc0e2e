#pragma once
/// What a backend of fmgs::rasterize is given and gives back, and the CPU backend's entry points.
#include <fmgs/raster/cpu/composite.h>
#include <torch/types.h>

namespace fmgs::raster {

/// Checked inputs of the operator; shapes as in rasterize.h.
struct RasterizeInputs {
    torch::Tensor center, tangents, opacity, features, channel_route, intrinsics, offsets, indices;
    int64_t width, height, tile_size;
    double near, low_pass;
    torch::Tensor level;  ///< as in Tiles
};

struct RasterizeOutputs {
    torch::Tensor image, alpha, depth;  ///< as in rasterize.h
    torch::Tensor transmittance;        ///< [H,W] Π (1-α_i)
    torch::Tensor last;  ///< [H,W] int32 position of the last contributor in its tile's list, or -1
};

/// Undefined image, alpha or depth: no gradient comes from there.
struct RasterizeCotangents {
    torch::Tensor image, alpha, depth;
    torch::Tensor transmittance, last;  ///< as the forward returned them
    bool needs_features;                ///< without, the gradient of the features comes out zero
};

struct RasterizeGradients {
    torch::Tensor center, tangents, opacity, features, intrinsics;
};

#if defined(FMGS_CUDA)
RasterizeOutputs rasterize_cuda(const RasterizeInputs& in);
RasterizeGradients rasterize_cuda_backward(const RasterizeInputs& in,
                                           const RasterizeCotangents& cotangents);
#endif

/// `backend` is for tests; the operator takes the best.
RasterizeOutputs rasterize_cpu(const RasterizeInputs& in,
                               const TileBackend& backend = tile_backend());
RasterizeGradients rasterize_cpu_backward(const RasterizeInputs& in,
                                          const RasterizeCotangents& cotangents,
                                          const TileBackend& backend = tile_backend());

}  // namespace fmgs::raster
