/// The encoding, and its gradient with respect to the points: a warp holds 32 points and takes the
/// levels in turn with the other warps of its block, so that neighbouring points meet in the same
/// rows of the coarse levels.
#include <fmgs/fields/hash/hash_grid_kernels.h>

#include <fmgs/fields/hash/hash_features.h>

namespace fmgs::detail {
namespace {

constexpr int kPoints = 32;  // of a block: one per lane
constexpr int kWarps = 8;
// of a block: eight blocks fit wherever so many threads do
constexpr size_t kStageBytes = 16 * 1024;
constexpr unsigned kCornerThreads = 128;

/// Blocks that share a multiprocessor at least; rows of four features take the registers of more.
constexpr int blocks_for(int wide, int of_four) { return wide == 4 ? of_four : 4; }

/// The rows and weights of a fixed point in a level.
template <class T>
__device__ __forceinline__ void read_corners(const EncodeParams<T>& p, int32_t level, int64_t n,
                                             int32_t* rows, T* weights) {
    const int64_t at = level * p.n + n;
    const auto* const packed = reinterpret_cast<const int4*>(p.indices + at * 8);
    const int4 low = packed[0], high = packed[1];
    rows[0] = low.x, rows[1] = low.y, rows[2] = low.z, rows[3] = low.w;
    rows[4] = high.x, rows[5] = high.y, rows[6] = high.z, rows[7] = high.w;
    bool inside = true;
    for (int c = 0; c < 8; ++c) inside &= rows[c] >= 0 && rows[c] < p.grid.entries;
    if (!inside) __trap();  // a cache from elsewhere would be used as addresses
    const T fraction[3] = {p.fractions[at * 3], p.fractions[at * 3 + 1], p.fractions[at * 3 + 2]};
    trilinear(fraction, weights);
}

/// The same, found for a live point.
template <class T>
__device__ __forceinline__ void find_corners(const HashLevelOf<T>& level, const T* point,
                                             int32_t* rows, T* weights) {
    const auto cell = hash_cell(level, point);
    hash_rows(level, cell.corner, rows);
    trilinear(cell.fraction, weights);
}

/// staged: levels that the stage has room for.
template <class T, int kWide, bool kFixed>
__global__ void __launch_bounds__(kPoints* kWarps, blocks_for(kWide, 3))
    encode_points(EncodeParams<T> p, int32_t staged) {
    FMGS_DYNAMIC_SHARED(memory);
    // [kPoints][pitch]: levels are stored one by one, and rows of the output all at once. An odd
    // pitch gives each lane a bank of its own.
    T* const stage = reinterpret_cast<T*>(memory);
    const int32_t pitch = (staged * p.features) | 1;
    const auto lane = static_cast<int32_t>(threadIdx.x % kPoints),
               warp = static_cast<int32_t>(threadIdx.x / kPoints);
    const int64_t first_point = int64_t{blockIdx.x} * kPoints, n = first_point + lane;
    const bool inside = n < p.n;
    T point[3] = {0, 0, 0};
    if (!kFixed && inside) {
        for (int k = 0; k < 3; ++k) point[k] = p.points[n * 3 + k];
    }
    for (int32_t first = 0; first < p.grid.count; first += staged) {
        const int32_t rest = p.grid.count - first, levels = rest < staged ? rest : staged;
        for (int32_t l = warp; l < levels && inside; l += kWarps) {
            int32_t rows[8];
            T weights[8];
            if constexpr (kFixed) {
                read_corners(p, first + l, n, rows, weights);
            } else {
                find_corners(p.grid.level[first + l], point, rows, weights);
            }
#pragma unroll 1
            for (int32_t f = 0; f < p.features; f += kWide) {
                T sum[kWide] = {};
#pragma unroll
                for (int c = 0; c < 8; ++c) {
                    const auto row =
                        load_features<kWide>(p.table + int64_t{rows[c]} * p.features + f);
#pragma unroll
                    for (int k = 0; k < kWide; ++k) sum[k] += weights[c] * row.v[k];
                }
#pragma unroll
                for (int k = 0; k < kWide; ++k)
                    stage[lane * pitch + l * p.features + f + k] = sum[k];
            }
        }
        __syncthreads();
        const int32_t width = levels * p.features;
        T* const out = p.out + first_point * p.grid.count * p.features + first * p.features;
        for (auto k = static_cast<int32_t>(threadIdx.x); k < kPoints * width;
             k += kPoints * kWarps) {
            const int32_t row = k / width, column = k % width;
            if (first_point + row < p.n)
                out[int64_t{row} * p.grid.count * p.features + column] =
                    stage[row * pitch + column];
        }
        __syncthreads();  // the stage is read to the end before it is filled again
    }
}

template <class T, int kWide>
__global__ void __launch_bounds__(kPoints* kWarps, blocks_for(kWide, 2))
    point_gradient(PointGradientParams<T> p) {
    FMGS_DYNAMIC_SHARED(memory);
    T* const stage = reinterpret_cast<T*>(memory);  // [kWarps][3][kPoints] a warp's sum over levels
    const auto lane = static_cast<int32_t>(threadIdx.x % kPoints),
               warp = static_cast<int32_t>(threadIdx.x / kPoints);
    const int64_t n = int64_t{blockIdx.x} * kPoints + lane;
    T sum[3] = {0, 0, 0};
    for (int32_t l = warp; l < p.grid.count && n < p.n; l += kWarps) {
        const HashLevelOf<T>& level = p.grid.level[l];
        const T point[3] = {p.points[n * 3], p.points[n * 3 + 1], p.points[n * 3 + 2]};
        const auto cell = hash_cell(level, point);
        int32_t rows[8];
        hash_rows(level, cell.corner, rows);
        T value[8] = {};  // <grad, table row>
#pragma unroll 1
        for (int32_t f = 0; f < p.features; f += kWide) {
            const auto grad =
                load_features<kWide>(p.grad + (n * p.grid.count + l) * p.features + f);
#pragma unroll
            for (int c = 0; c < 8; ++c) {
                const auto row = load_features<kWide>(p.table + int64_t{rows[c]} * p.features + f);
#pragma unroll
                for (int k = 0; k < kWide; ++k) value[c] += grad.v[k] * row.v[k];
            }
        }
        add_trilinear_gradient(value, cell.fraction, level.scale, sum);
    }
    for (int k = 0; k < 3; ++k) stage[(warp * 3 + k) * kPoints + lane] = sum[k];
    __syncthreads();
    if (warp >= 3 || n >= p.n) return;
    T total = 0;  // each of the first warps adds up one coordinate
    for (int32_t w = 0; w < kWarps; ++w) total += stage[(w * 3 + warp) * kPoints + lane];
    p.grad_points[n * 3 + warp] = moves(p.points[n * 3 + warp]) ? total : T(0);
}

template <class T>
__global__ void __launch_bounds__(kCornerThreads) write_corners(CornerParams<T> p) {
    const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (at >= p.grid.count * p.n) return;
    const auto l = static_cast<int32_t>(at / p.n);
    const int64_t n = at - l * p.n;
    const T point[3] = {p.points[n * 3], p.points[n * 3 + 1], p.points[n * 3 + 2]};
    const auto cell = hash_cell(p.grid.level[l], point);
    int32_t rows[8];
    hash_rows(p.grid.level[l], cell.corner, rows);
    auto* const packed = reinterpret_cast<int4*>(p.indices + at * 8);
    packed[0] = {rows[0], rows[1], rows[2], rows[3]};
    packed[1] = {rows[4], rows[5], rows[6], rows[7]};
    for (int k = 0; k < 3; ++k) p.fractions[at * 3 + k] = cell.fraction[k];
}

template <class T, int kWide>
cudaError_t encode_with(const EncodeParams<T>& p, cudaStream_t stream) {
    const size_t level_bytes = sizeof(T) * kPoints * static_cast<size_t>(p.features);
    if (level_bytes > kStageBytes) return cudaErrorInvalidValue;
    const auto room = static_cast<int32_t>(kStageBytes / (level_bytes ? level_bytes : 1));
    const int32_t staged = p.grid.count < room ? p.grid.count : room;
    const size_t pitch = static_cast<size_t>(staged * p.features) | 1;
    const auto kernel =
        p.indices ? &encode_points<T, kWide, true> : &encode_points<T, kWide, false>;
    return launch(kernel, (p.n + kPoints - 1) / kPoints, kPoints * kWarps,
                  sizeof(T) * kPoints * pitch, stream, p, staged);
}

}  // namespace

template <class T>
int64_t max_hash_features() {
    return static_cast<int64_t>(kStageBytes / (sizeof(T) * kPoints));
}

template <class T>
cudaError_t launch_encode(const EncodeParams<T>& p, cudaStream_t stream) {
    return with_wide_features(
        p.features, [&](auto wide) { return encode_with<T, decltype(wide)::value>(p, stream); });
}

template <class T>
cudaError_t launch_point_gradient(const PointGradientParams<T>& p, cudaStream_t stream) {
    return with_wide_features(p.features, [&](auto wide) {
        return launch(&point_gradient<T, decltype(wide)::value>, (p.n + kPoints - 1) / kPoints,
                      kPoints * kWarps, sizeof(T) * kWarps * 3 * kPoints, stream, p);
    });
}

template <class T>
cudaError_t launch_corners(const CornerParams<T>& p, cudaStream_t stream) {
    return launch(&write_corners<T>, (p.grid.count * p.n + kCornerThreads - 1) / kCornerThreads,
                  kCornerThreads, 0, stream, p);
}

template int64_t max_hash_features<float>();
template cudaError_t launch_encode<float>(const EncodeParams<float>&, cudaStream_t);
template cudaError_t launch_point_gradient<float>(const PointGradientParams<float>&, cudaStream_t);
template cudaError_t launch_corners<float>(const CornerParams<float>&, cudaStream_t);

}  // namespace fmgs::detail
