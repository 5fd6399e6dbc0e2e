#pragma once
/// Device code that the compositing kernels share: where a warp stands, and which surfels reach it.
#include <fmgs/core/cuda/launch.h>
#include <fmgs/raster/cuda/composite_kernels.h>

namespace fmgs::raster {

/// The tiling as it turned out.
struct Tiling {
    int32_t edge, across, down;

    FMGS_HD explicit Tiling(const TileLists& lists)
        : edge(lists.tile_size << (lists.level ? *lists.level : 0)),
          across((lists.width + edge - 1) / edge),
          down((lists.height + edge - 1) / edge) {}
};

/// The list of a tile.
struct Range {
    int32_t begin, end;
};

__device__ __forceinline__ Range tile_range(const TileLists& lists, int32_t tile) {
    const int32_t begin = lists.offsets[tile], end = lists.offsets[tile + 1];
    // Lists that are no lists would be used as addresses.
    if (begin < 0 || end < begin || end > lists.capacity) __trap();
    return {begin, end};
}

__device__ __forceinline__ int32_t surfel_at(const TileLists& lists, int64_t position) {
    const int32_t surfel = lists.indices[position];
    if (surfel < 0 || surfel >= lists.surfels) __trap();
    return surfel;
}

/// Half a cell: the pixels of a warp. x, y: the lane's own.
struct HalfCell {
    int32_t x, y, x0, y0, x1, y1;

    /// (left, top): of the cell.
    __device__ __forceinline__ HalfCell(int32_t left, int32_t top, int half, int lane)
        : x0(left),
          y0(top + half * (kCell / kHalves)),
          x1(x0 + kCell - 1),
          y1(y0 + kCell / kHalves - 1) {
        x = x0 + lane % kCell;
        y = y0 + lane / kCell;
    }
    template <class T>
    __device__ __forceinline__ bool overlaps(const Projected<T>& s) const {
        return s.x0 <= x1 && s.x1 >= x0 && s.y0 <= y1 && s.y1 >= y0;
    }
};

}  // namespace fmgs::raster
