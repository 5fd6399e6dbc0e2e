/// The backward pass as far as gradient sums per surfel and half cell. No float atomics: each half
/// cell writes a slot of its own, which reduce_kernels.cu adds up.
#include <fmgs/raster/cuda/cell.h>

namespace fmgs::raster {
namespace {

constexpr int kStride = 33;  // of a row with one element per lane: any row, any lane, own bank
constexpr int kParts = 6;    // of SampleGradient
enum Factor { kDx, kDy, kU, kV, kWeight, kFactors };

/// The shared memory of a warp of the backward.
template <class T>
struct Stage {
    Projected<T>* surfels;  ///< [32]
    T* features;            ///< [32,channels]
    T* gradient;            ///< [channels][kStride] dL/d(image) of the lanes' pixels
    T* parts;               ///< [routes·kParts][kStride] the lanes' SampleGradients
    T* factors;             ///< [kFactors][kStride]

    static size_t bytes(int64_t channels, int64_t routes) {
        const int64_t values = channels * (32 + kStride) + (routes * kParts + kFactors) * kStride;
        return sizeof(Projected<T>) * 32 + sizeof(T) * static_cast<size_t>(values);
    }
    __device__ __forceinline__ Stage(unsigned char* memory, int32_t channels, int32_t routes) {
        surfels = reinterpret_cast<Projected<T>*>(memory);
        features = reinterpret_cast<T*>(surfels + 32);
        gradient = features + 32 * channels;
        parts = gradient + channels * kStride;
        factors = parts + routes * kParts * kStride;
    }
};

/// What a lane remembers about its pixel.
template <class T, int kRoutes>
struct Pixel {
    int64_t at;
    int32_t last;
    T transmittance;
    T suffix[kRoutes];  ///< Σ_{j>i} w_j V_j − T_N dL/d(alpha)
    T grad_depth[kRoutes];

    __device__ __forceinline__ Pixel(const BackwardParams<T>& p, const HalfCell& cell) {
        const int64_t pixels = int64_t{p.lists.width} * p.lists.height;
        const bool inside = cell.x < p.lists.width && cell.y < p.lists.height;
        at = inside ? int64_t{cell.y} * p.lists.width + cell.x : -1;
        last = inside ? p.last[at] : -1;
        transmittance = inside ? p.transmittance[at] : T(1);
#pragma unroll
        for (int r = 0; r < kRoutes; ++r) {
            const bool used = last >= 0 && r < p.routes;
            suffix[r] =
                used && p.grad_alpha ? -transmittance * p.grad_alpha[r * pixels + at] : T(0);
            grad_depth[r] = used && p.grad_depth ? p.grad_depth[r * pixels + at] : T(0);
        }
    }
};

__device__ __forceinline__ int32_t largest_of_warp(int32_t value) {
    for (int step = 16; step > 0; step /= 2) {
        const int32_t other = __shfl_xor_sync(kWholeWarp, value, step);
        if (other > value) value = other;
    }
    return value;
}

/// One sample: the lane's pixel goes to before the surfel; its SampleGradients go to the stage.
template <class T, int kRoutes, bool kAllStaged>
__device__ __forceinline__ void step_back(const BackwardParams<T>& p, const Stage<T>& stage,
                                          int32_t staged, Pixel<T, kRoutes>& pixel, int lane, int j,
                                          int32_t surfel, const Sample<ScalarMath<T>>& sample, T dx,
                                          T dy) {
    using M = ScalarMath<T>;
    const Projected<T>& s = stage.surfels[j];
    const int64_t pixels = int64_t{p.lists.width} * p.lists.height;
    const T inverse = T(1) / (T(1) - sample.alpha);
    const T before = pixel.transmittance * inverse, weight = before * sample.alpha;
    pixel.transmittance = before;
    T value[kRoutes];  // Σ_k f_k dL/d(image_k) over the channels of the route
#pragma unroll
    for (int r = 0; r < kRoutes; ++r) value[r] = 0;
    for (int32_t run = 0, row = 0; run < p.run_count; ++run) {
        const ChannelRun channels = p.runs[run];
        const int32_t first = row;
        row += channels.count;
        if (channels.route < 0) continue;
        T sum = 0;
        for (int32_t c = 0; c < channels.count; ++c) {
            const int32_t k = first + c;
            if (kAllStaged || k < staged) {
                sum += stage.features[j * staged + k] * stage.gradient[k * kStride + lane];
            } else {
                sum += p.features[int64_t{surfel} * p.channels + channels.first + c] *
                       p.grad_image[(channels.first + c) * pixels + pixel.at];
            }
        }
#pragma unroll
        for (int r = 0; r < kRoutes; ++r) value[r] += r == channels.route ? sum : T(0);
    }
    const auto hit = sample_hit<M>(s, sample);
    const bool is_open = sample.gauss <= T(kAlphaMax), has_depth = p.grad_depth != nullptr;
#pragma unroll
    for (int r = 0; r < kRoutes; ++r) {
        if (r >= p.routes) break;
        const T v = value[r] + hit.z * pixel.grad_depth[r];
        const T grad_alpha = is_open ? before * v - pixel.suffix[r] * inverse : T(0);
        pixel.suffix[r] += weight * v;
        const auto grad =
            sample_vjp<M>(s, sample, hit, grad_alpha, weight * pixel.grad_depth[r], has_depth);
        T* const out = stage.parts + r * kParts * kStride + lane;
        out[0 * kStride] = grad.q0;
        out[1 * kStride] = grad.q1;
        out[2 * kStride] = grad.q2;
        out[3 * kStride] = grad.low;
        out[4 * kStride] = grad.z;
        out[5 * kStride] = grad.gauss;
    }
    T* const factor = stage.factors + lane;
    factor[kDx * kStride] = dx;
    factor[kDy * kStride] = dy;
    factor[kU * kStride] = hit.u;
    factor[kV * kStride] = hit.v;
    factor[kWeight * kStride] = weight;
}

/// Which part and which factor (-1: one) make a sum of surfel_math.h's.
struct SumOf {
    int part, factor;
};

__device__ __forceinline__ SumOf sum_of(int k) {
    constexpr int kNone = -1;
    if (k <= kQ2y) return {k / 3, k % 3 == 0 ? kNone : k % 3 == 1 ? int{kDx} : int{kDy}};
    if (k <= kLowY) return {3, k == kLowX ? int{kDx} : int{kDy}};
    if (k <= kZv) return {4, k == kZ ? kNone : k == kZu ? int{kU} : int{kV}};
    return {5, kNone};
}

/// Adds up what the drawn lanes left in the stage; each lane makes some elements of the slot.
template <class T, bool kAllStaged>
__device__ __forceinline__ void write_slot(const BackwardParams<T>& p, const Stage<T>& stage,
                                           int32_t staged, unsigned drawn, int lane,
                                           const HalfCell& cell, SumOf own, bool fresh, T* slot) {
    // Sixteen lanes make the 15 sums of a route.
    const int k = lane % 16;
    for (int r = lane / 16; r < p.routes; r += 2) {
        if (k >= kSums) break;
        const T* const part = stage.parts + (r * kParts + own.part) * kStride;
        const T* const factor = stage.factors + own.factor * kStride;
        T sum = 0;
        for (unsigned rest = drawn; rest != 0; rest &= rest - 1) {
            const int m = __ffs(static_cast<int>(rest)) - 1;
            sum += own.factor < 0 ? part[m] : part[m] * factor[m];
        }
        T& out = slot[(p.first_route + r) * kSums + k];
        out = fresh ? sum : out + sum;
    }
    if (!p.needs_features) return;
    const int64_t pixels = int64_t{p.lists.width} * p.lists.height;
    const T* const weight = stage.factors + kWeight * kStride;
    for (int32_t run = 0, row = 0; run < p.run_count; row += p.runs[run].count, ++run) {
        const ChannelRun channels = p.runs[run];
        for (int32_t c = lane; c < channels.count; c += 32) {
            T sum = 0;
            for (unsigned rest = drawn; rest != 0; rest &= rest - 1) {
                const int m = __ffs(static_cast<int>(rest)) - 1;
                if (kAllStaged || row + c < staged) {
                    sum += weight[m] * stage.gradient[(row + c) * kStride + m];
                } else {
                    const int64_t at =
                        int64_t{cell.y0 + m / kCell} * p.lists.width + cell.x0 + m % kCell;
                    sum += weight[m] * p.grad_image[(channels.first + c) * pixels + at];
                }
            }
            T& out = slot[p.all_routes * kSums + channels.first + c];
            out = fresh ? sum : out + sum;
        }
    }
}

/// Loads what the surfels at [first, first + 32) of a list have in common for the warp; returns
/// which of them reach it. surfel: the lane's own.
template <class T>
__device__ __forceinline__ unsigned stage_surfels(const BackwardParams<T>& p, const Stage<T>& stage,
                                                  int32_t staged, const HalfCell& cell,
                                                  int32_t first, int32_t end, int lane,
                                                  int32_t& surfel) {
    bool reaches = false;
    surfel = -1;
    if (first + lane < end) {
        surfel = surfel_at(p.lists, first + lane);
        stage.surfels[lane] = p.surfels[surfel];
        reaches = cell.overlaps(stage.surfels[lane]);
    }
    const unsigned hits = __ballot_sync(kWholeWarp, reaches);
    for (unsigned rest = hits; rest != 0; rest &= rest - 1) {
        const int j = __ffs(static_cast<int>(rest)) - 1;
        const int64_t from = int64_t{__shfl_sync(kWholeWarp, surfel, j)} * p.channels;
        for (int32_t run = 0, row = 0; run < p.run_count; row += p.runs[run].count, ++run) {
            for (int32_t c = lane; c < p.runs[run].count && row + c < staged; c += 32)
                stage.features[j * staged + row + c] = p.features[from + p.runs[run].first + c];
        }
    }
    __syncwarp();
    return hits;
}

/// One warp per half of every cell of a tile; a tile of several cells takes them in turn, because
/// they share its slots.
template <class T, int kRoutes, bool kAllStaged>
__global__ void __launch_bounds__(32) composite_backward(BackwardParams<T> p, int32_t staged) {
    using M = ScalarMath<T>;
    FMGS_DYNAMIC_SHARED(memory);
    const Stage<T> stage(memory, staged, p.routes);
    const int lane = static_cast<int>(threadIdx.x), half = static_cast<int>(blockIdx.x % kHalves);
    const auto tile = static_cast<int32_t>(blockIdx.x / kHalves);
    const Tiling tiling(p.lists);
    if (tile >= tiling.across * tiling.down) return;
    const Range list = tile_range(p.lists, tile);
    if (list.begin == list.end) return;
    const int64_t pixels = int64_t{p.lists.width} * p.lists.height;
    const int64_t slot_size = int64_t{p.all_routes} * kSums + p.channels;
    const SumOf own = sum_of(lane % 16);
    const int32_t cells = tiling.edge / kCell;
    for (int32_t c = 0; c < cells * cells; ++c) {
        const HalfCell cell(tile % tiling.across * tiling.edge + c % cells * kCell,
                            tile / tiling.across * tiling.edge + c / cells * kCell, half, lane);
        if (cell.x0 >= p.lists.width || cell.y0 >= p.lists.height) continue;
        Pixel<T, kRoutes> pixel(p, cell);
        const int32_t largest = largest_of_warp(pixel.last);
        if (largest < 0) continue;
        if (largest >= list.end - list.begin) __trap();
        for (int32_t run = 0, row = 0; run < p.run_count; row += p.runs[run].count, ++run) {
            for (int32_t k = 0; k < p.runs[run].count && row + k < staged; ++k) {
                stage.gradient[(row + k) * kStride + lane] =
                    pixel.last >= 0 ? p.grad_image[(p.runs[run].first + k) * pixels + pixel.at]
                                    : T(0);
            }
        }
        for (int32_t first = largest / 32 * 32; first >= 0; first -= 32) {
            int32_t surfel;
            const unsigned hits = stage_surfels(p, stage, staged, cell, list.begin + first,
                                                list.begin + largest + 1, lane, surfel);
            for (unsigned rest = hits; rest != 0;) {
                const int j = 31 - __clz(static_cast<int>(rest));
                rest &= ~(1u << j);
                const Projected<T>& s = stage.surfels[j];
                const T dx = static_cast<T>(cell.x) + T(0.5) - s.c0,
                        dy = static_cast<T>(cell.y) + T(0.5) - s.c1;
                const auto sample = sample_alpha<M>(s, dx, dy);
                const bool draws = first + j <= pixel.last && sample.alpha >= T(kAlphaMin);
                const unsigned drawn = __ballot_sync(kWholeWarp, draws);
                if (drawn == 0) continue;
                const int32_t id = kAllStaged ? 0 : __shfl_sync(kWholeWarp, surfel, j);
                if (draws)
                    step_back<T, kRoutes, kAllStaged>(p, stage, staged, pixel, lane, j, id, sample,
                                                      dx, dy);
                const int64_t at = int64_t{list.begin + first + j} * kHalves + half;
                const bool fresh = cells == 1 || !p.touched[at];
                __syncwarp();
                write_slot<T, kAllStaged>(p, stage, staged, drawn, lane, cell, own, fresh,
                                          p.slots + at * slot_size);
                __syncwarp();  // the parts are read to the end before the next surfel's are written
                if (lane == 0) p.touched[at] = 1;
            }
            __syncwarp();
        }
    }
}

template <class T, int kRoutes>
cudaError_t backward_with(const BackwardParams<T>& p, cudaStream_t stream) {
    int32_t rows = 0;
    for (int32_t run = 0; run < p.run_count; ++run) rows += p.runs[run].count;
    const auto limit = static_cast<int32_t>(max_staged_channels<T>());
    const int32_t staged = rows < limit ? rows : limit;
    const int64_t across = (p.lists.width + p.lists.tile_size - 1) / p.lists.tile_size,
                  down = (p.lists.height + p.lists.tile_size - 1) / p.lists.tile_size;
    const auto kernel = rows <= staged ? &composite_backward<T, kRoutes, true>
                                       : &composite_backward<T, kRoutes, false>;
    return launch(kernel, across * down * kHalves, 32, Stage<T>::bytes(staged, p.routes), stream, p,
                  staged);
}

}  // namespace

template <class T>
int64_t max_staged_channels() {
    const size_t rest = kSharedLimit - Stage<T>::bytes(0, kPassRoutes);
    return static_cast<int64_t>(rest / (sizeof(T) * (32 + kStride)));
}

template <class T>
cudaError_t launch_backward(const BackwardParams<T>& p, cudaStream_t stream) {
    return p.routes == 1 ? backward_with<T, 1>(p, stream)
                         : backward_with<T, kPassRoutes>(p, stream);
}

template int64_t max_staged_channels<float>();
template cudaError_t launch_backward<float>(const BackwardParams<float>&, cudaStream_t);

}  // namespace fmgs::raster
