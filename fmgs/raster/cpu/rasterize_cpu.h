#pragma once
/// The CPU backend of fmgs::rasterize.
#include <fmgs/raster/cpu/composite.h>
#include <fmgs/raster/rasterize_op.h>

namespace fmgs::raster {

/// Checked inputs of the operator, float or double. `backend` is for tests; the operator takes the
/// best.
RasterizeOutputs rasterize_cpu(const RasterizeInputs& in,
                               const TileBackend& backend = tile_backend());
RasterizeGradients rasterize_cpu_backward(const RasterizeInputs& in,
                                          const RasterizeCotangents& cotangents,
                                          const TileBackend& backend = tile_backend());

}  // namespace fmgs::raster
