#pragma once
/// The CUDA backend of the rasterizer's operators, as torch sees it. Checked inputs, float; nothing
/// is waited for.
#include <fmgs/raster/rasterize_op.h>
#include <fmgs/raster/tiles_op.h>

namespace fmgs::raster {

/// Error when the tile size is no multiple of 8 or the surfels are too many.
TilesOutputs find_tiles_cuda(const TilesInputs& in);
RasterizeOutputs rasterize_cuda(const RasterizeInputs& in);
RasterizeGradients rasterize_cuda_backward(const RasterizeInputs& in,
                                           const RasterizeCotangents& cotangents);

}  // namespace fmgs::raster
