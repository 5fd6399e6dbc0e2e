#pragma once
/// The CUDA backend's entry point of find_tiles.
#include <fmgs/raster/rasterize.h>

namespace fmgs::raster {

/// Checked inputs of find_tiles; `tiles` holds its sizes, and comes back with the lists. float.
/// Waits for nothing. Error when the tile size is no multiple of 8 or the surfels are too many.
Tiles find_tiles_cuda(const torch::Tensor& center, const torch::Tensor& tangents,
                      const torch::Tensor& opacity, const torch::Tensor& intrinsics, Tiles tiles);

}  // namespace fmgs::raster
