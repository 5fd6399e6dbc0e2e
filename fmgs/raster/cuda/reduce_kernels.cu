/// The end of the backward pass: a surfel's slots added up in the order of the tiles, and its
/// gradients.
#include <fmgs/raster/cuda/cell.h>

namespace fmgs::raster {
namespace {

/// Where a surfel stands in a tile's list, or -1. find_tiles orders by depth, then by id; a list in
/// another order is searched from end to end.
template <class T>
__device__ __forceinline__ int32_t position_in(const ReduceParams<T>& p, Range list,
                                               int32_t surfel) {
    const T z = p.surfels[surfel].z;
    int32_t low = list.begin, high = list.end;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2, other = surfel_at(p.lists, middle);
        const T other_z = p.surfels[other].z;
        if (other_z < z || (other_z == z && other < surfel)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < list.end && p.lists.indices[low] == surfel) return low;
    for (int32_t i = list.begin; i < list.end; ++i) {
        if (p.lists.indices[i] == surfel) return i;
    }
    return -1;
}

/// Adds the slots of a surfel up, in the order of the tiles; false when it has none. sum:
/// [slot_size] of the warp, element v belongs to lane v % 32.
template <class T>
__device__ __forceinline__ bool add_up(const ReduceParams<T>& p, const Projected<T>& s,
                                       int32_t surfel, int lane, T* sum) {
    const int64_t sums = int64_t{p.routes} * kSums, slot_size = sums + p.channels;
    const int64_t used = p.needs_features ? slot_size : sums;
    bool any = false;
    if (s.x1 < s.x0) return any;
    const Tiling tiling(p.lists);
    const int32_t x0 = s.x0 / tiling.edge, y0 = s.y0 / tiling.edge;
    const int32_t across = s.x1 / tiling.edge - x0 + 1, down = s.y1 / tiling.edge - y0 + 1;
    for (int32_t first = 0; first < across * down; first += 32) {
        const int32_t t = first + lane;
        int32_t position = -1, halves = 0;
        if (t < across * down) {
            const int32_t tile = (y0 + t / across) * tiling.across + x0 + t % across;
            position = position_in(p, tile_range(p.lists, tile), surfel);
            for (int h = 0; h < kHalves && position >= 0; ++h)
                halves |= p.touched[int64_t{position} * kHalves + h] ? 1 << h : 0;
        }
        unsigned listed = __ballot_sync(kWholeWarp, halves != 0);
        for (; listed != 0; listed &= listed - 1) {
            const int j = __ffs(static_cast<int>(listed)) - 1;
            const int64_t at = int64_t{__shfl_sync(kWholeWarp, position, j)} * kHalves;
            const int32_t which = __shfl_sync(kWholeWarp, halves, j);
            for (int h = 0; h < kHalves; ++h) {
                if (!(which >> h & 1)) continue;
                const T* const slot = p.slots + (at + h) * slot_size;
                for (int64_t v = lane; v < used; v += 32) sum[v] = any ? sum[v] + slot[v] : slot[v];
                any = true;
            }
        }
    }
    return any;
}

/// One warp per surfel.
template <class T>
__global__ void __launch_bounds__(32) reduce_slots(ReduceParams<T> p) {
    FMGS_DYNAMIC_SHARED(memory);
    T* const sum = reinterpret_cast<T*>(memory);
    const int lane = static_cast<int>(threadIdx.x);
    const auto surfel = static_cast<int32_t>(blockIdx.x);
    const int32_t n = p.lists.surfels, sums = p.routes * kSums;
    const Projected<T>& s = p.surfels[surfel];
    const bool any = add_up(p, s, surfel, lane, sum);
    __syncwarp();
    T intrinsics[4] = {0, 0, 0, 0};
    const T *c = p.center + 3 * int64_t{surfel}, *t = p.tangents + 6 * int64_t{surfel};
    for (int32_t r = lane; r < p.routes; r += 32) {
        Surfel<T> grad{};
        if (any) {
            const Surfel<T> own{
                {c[0], c[1], c[2]}, {t[0], t[2], t[4]}, {t[1], t[3], t[5]}, p.opacity[surfel]};
            project_vjp<ScalarMath<T>>(own, p.intrinsics, s.low, sum + r * kSums, grad, intrinsics);
        }
        const int64_t row = int64_t{r} * n + surfel;
        p.grad_opacity[row] = grad.opacity;
        for (int k = 0; k < 3; ++k) {
            p.grad_center[3 * row + k] = grad.p[k];
            p.grad_tangents[6 * row + 2 * k] = grad.a[k];
            p.grad_tangents[6 * row + 2 * k + 1] = grad.b[k];
        }
    }
    for (int k = 0; k < 4; ++k) {
        for (int step = 16; step > 0; step /= 2)
            intrinsics[k] +=
                __shfl_down_sync(kWholeWarp, intrinsics[k], static_cast<unsigned>(step));
        if (lane == 0) p.grad_intrinsics[4 * int64_t{surfel} + k] = intrinsics[k];
    }
    if (!p.grad_features) return;
    for (int32_t k = lane; k < p.channels; k += 32) {
        p.grad_features[int64_t{surfel} * p.channels + k] =
            any && p.needs_features ? sum[sums + k] : T(0);
    }
}

}  // namespace

template <class T>
int64_t max_slot_size() {
    return static_cast<int64_t>(kSharedLimit / sizeof(T));
}

template <class T>
cudaError_t launch_reduce(const ReduceParams<T>& p, cudaStream_t stream) {
    const int64_t slot_size = int64_t{p.routes} * kSums + p.channels;
    return launch(&reduce_slots<T>, p.lists.surfels, 32, sizeof(T) * static_cast<size_t>(slot_size),
                  stream, p);
}

template int64_t max_slot_size<float>();
template cudaError_t launch_reduce<float>(const ReduceParams<float>&, cudaStream_t);

}  // namespace fmgs::raster
