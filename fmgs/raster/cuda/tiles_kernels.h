#pragma once
/// The CUDA backend of find_tiles: stages as launch functions, no torch. Nothing is read back: the
/// lists have a fixed capacity, and surfels too large for it are put into larger tiles. Stages, in
/// order: boxes, order by depth, intersections, order by tile and depth, lists.
#include <cuda_runtime.h>
#include <fmgs/raster/cuda/composite_kernels.h>

namespace fmgs::raster {

/// Bits of a positive depth, which order as it does.
template <class T>
struct DepthKey;
template <>
struct DepthKey<float> {
    using Type = uint32_t;
};
template <>
struct DepthKey<double> {
    using Type = uint64_t;
};

/// Bits that hold 0 … largest.
FMGS_HD int bit_width(uint64_t largest) {
    int bits = 1;
    while (largest >>= 1) ++bits;
    return bits;
}

/// An intersection's key: the tile above the surfel's place in the order of depth. Tile T, one past
/// the last, stands for no intersection.
struct KeyFormat {
    int rank_bits, tile_bits;
    int32_t tiles;  ///< T at the finest level

    KeyFormat(int64_t surfels, int64_t tile_count)
        : rank_bits(bit_width(static_cast<uint64_t>(surfels > 0 ? surfels - 1 : 0))),
          tile_bits(bit_width(static_cast<uint64_t>(tile_count))),
          tiles(static_cast<int32_t>(tile_count)) {}
    bool is_narrow() const { return rank_bits + tile_bits <= 32; }
};

template <class T>
struct BoxParams {
    const T *center, *tangents, *opacity, *intrinsics;  ///< as in ProjectParams
    int64_t n;
    T near, low_pass;
    int32_t width, height, tile_size;
    int32_t levels;                      ///< tile_size · 2^(levels−1) covers the image
    int32_t* boxes;                      ///< [N,4] out: x0 y0 x1 y1, empty for a culled surfel
    typename DepthKey<T>::Type* depths;  ///< [N] out
    int32_t* ids;                        ///< [N] out: 0 … N−1
    unsigned long long* totals;          ///< [levels] in 0, out: intersections at each level
};

struct IntersectionParams {
    const int32_t* boxes;  ///< [N,4]
    const int32_t* order;  ///< [N] ids by depth
    int64_t n, capacity;   ///< capacity ≥ N: the coarsest level always fits
    int32_t width, height, tile_size, levels;
    KeyFormat format;
    const unsigned long long* totals;  ///< [levels]
    unsigned long long* cursor;        ///< [1] in 0
    int32_t* level;                    ///< [1] out: the finest that fits
};

struct ListParams {
    const int32_t* order;  ///< [N]
    int64_t capacity;
    KeyFormat format;
    int32_t* offsets;  ///< [T+1] out
    int32_t* indices;  ///< [capacity] out; 0 beyond the last intersection
};

template <class T>
cudaError_t launch_boxes(const BoxParams<T>& p, cudaStream_t stream);
/// keys: [capacity] in all ones; Key: uint32_t for a narrow format, else uint64_t.
template <class Key>
cudaError_t launch_intersections(const IntersectionParams& p, Key* keys, cudaStream_t stream);
/// keys: [capacity] sorted.
template <class Key>
cudaError_t launch_lists(const ListParams& p, const Key* keys, cudaStream_t stream);

/// Radix sorts. storage: null to ask for `bytes`, else that much memory. bits: of the key that
/// count.
template <class Key>
cudaError_t sort_pairs(void* storage, size_t& bytes, const Key* keys_in, Key* keys_out,
                       const int32_t* values_in, int32_t* values_out, int64_t count, int bits,
                       cudaStream_t stream);
template <class Key>
cudaError_t sort_keys(void* storage, size_t& bytes, const Key* keys_in, Key* keys_out,
                      int64_t count, int bits, cudaStream_t stream);

}  // namespace fmgs::raster
