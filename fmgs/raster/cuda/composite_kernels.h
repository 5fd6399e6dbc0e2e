#pragma once
/// The CUDA backend's kernels as seen from torch's side: parameters, and one launch function per
/// stage. No torch. All pointers are device memory; arrays are contiguous. The work of a warp is
/// half a cell, 8 × 4 pixels: most surfels are a few pixels wide, and on larger areas most lanes
/// would look at pixels that the surfel does not reach.
#include <cuda_runtime.h>
#include <fmgs/raster/surfel_math.h>

#include <cstddef>
#include <cstdint>

namespace fmgs::raster {

constexpr int kCell = 8;        ///< edge of a cell, pixels; tiles are made of whole cells
constexpr int kHalves = 2;      ///< of a cell: one warp each
constexpr int kPassRoutes = 4;  ///< routes that one launch of the backward serves
constexpr int kMaxRuns = 16;
constexpr int kMaxLevels = 18;  ///< 8 · 2^17 is as wide as an image may be

/// Which surfels are in which tile.
struct TileLists {
    const int32_t* offsets;  ///< [T+1]
    const int32_t* indices;  ///< [capacity]
    const int32_t* level;    ///< [1] the tiles are tile_size · 2^level wide; null: tile_size
    int64_t capacity;
    int32_t tile_size;  ///< pixels, a multiple of kCell
    int32_t width, height;
    int32_t surfels;  ///< N
};

template <class T>
struct ProjectParams {
    const T* center;      ///< [N,3]
    const T* tangents;    ///< [N,3,2]
    const T* opacity;     ///< [N,1]
    const T* features;    ///< [N,channels]; a surfel with one that is not finite is culled
    const T* intrinsics;  ///< [4]
    int64_t n, channels;
    T near, low_pass;
    int32_t width, height;
    Projected<T>* surfels;  ///< [N] out
};

template <class T>
struct ForwardParams {
    TileLists lists;
    const Projected<T>* surfels;  ///< [N]
    const T* features;            ///< [N,channels]
    int32_t channels;
    T* image;          ///< [channels,H,W] out
    T* alpha;          ///< [H,W] out
    T* depth;          ///< [H,W] out
    T* transmittance;  ///< [H,W] out
    int32_t* last;     ///< [H,W] out
};

/// Neighbouring channels of one route; -1: of no route of this pass, only their features get a
/// gradient.
struct ChannelRun {
    int32_t first, count, route;
};

template <class T>
struct BackwardParams {
    TileLists lists;
    const Projected<T>* surfels;  ///< [N]
    const T* features;            ///< [N,channels]
    const T* grad_image;          ///< [channels,H,W]; null without runs
    const T* grad_alpha;          ///< [routes,H,W] of this pass, or null
    const T* grad_depth;          ///< [routes,H,W] of this pass, or null
    const T* transmittance;       ///< [H,W]
    const int32_t* last;          ///< [H,W]
    ChannelRun runs[kMaxRuns];
    int32_t run_count;
    int32_t channels;     ///< row length of features
    int32_t routes;       ///< of this pass, 1 … kPassRoutes
    int32_t first_route;  ///< of this pass, among all
    int32_t all_routes;
    int32_t needs_features;
    T* slots;          ///< [capacity, kHalves, all_routes·kSums + channels] out
    uint8_t* touched;  ///< [capacity, kHalves] out, zero before: the slot was written
};

template <class T>
struct ReduceParams {
    TileLists lists;
    const T *center, *tangents, *opacity, *intrinsics;  ///< as in ProjectParams
    const Projected<T>* surfels;                        ///< [N]
    const T* slots;
    const uint8_t* touched;
    int32_t channels, routes, needs_features;
    T* grad_center;      ///< [routes,N,3] out
    T* grad_tangents;    ///< [routes,N,3,2] out
    T* grad_opacity;     ///< [routes,N,1] out
    T* grad_features;    ///< [N,channels] out, or null
    T* grad_intrinsics;  ///< [N,4] out: each surfel's share
};

/// Channels whose cotangents a warp of the backward can keep at hand; more work, slowly.
template <class T>
int64_t max_staged_channels();
/// Elements of a slot that the reduction can add up.
template <class T>
int64_t max_slot_size();

template <class T>
cudaError_t launch_project(const ProjectParams<T>& p, cudaStream_t stream);
template <class T>
cudaError_t launch_forward(const ForwardParams<T>& p, cudaStream_t stream);
template <class T>
cudaError_t launch_backward(const BackwardParams<T>& p, cudaStream_t stream);
template <class T>
cudaError_t launch_reduce(const ReduceParams<T>& p, cudaStream_t stream);

}  // namespace fmgs::raster
