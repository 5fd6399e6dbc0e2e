/// SSIM in one pass over the pictures, and its gradient in one over the slopes: a block blurs a
/// tile in shared memory, along rows and then along columns. Threads take several neighbouring
/// pixels of a row or column, because reading shared memory is what takes the time.

#include <fmgs/losses/ssim/ssim_kernels.h>

#include <fmgs/core/cuda/launch.h>

namespace fmgs::detail {
namespace {

constexpr int kWidth = kSsimTileWidth, kHeight = kSsimTileHeight;
constexpr int kHaloWidth = kWidth + 2 * kSsimRadius, kHaloHeight = kHeight + 2 * kSsimRadius;
// Odd pitches: threads that walk along different rows find their words in different banks.
constexpr int kHaloPitch = kHaloWidth | 1, kRowPitch = kWidth | 1;
constexpr int kAcross = 8, kDown = 4;  // pixels of a thread along a row, and along a column
constexpr int kThreads = kWidth * kHeight / kDown;

/// Where a block stands.
struct Tile {
    int32_t channel, x0, y0;

    __device__ __forceinline__ Tile(const SsimShape& shape, int64_t block) {
        const int32_t across = (shape.width + kWidth - 1) / kWidth,
                      down = (shape.height + kHeight - 1) / kHeight;
        x0 = static_cast<int32_t>(block % across) * kWidth;
        y0 = static_cast<int32_t>(block / across % down) * kHeight;
        channel = static_cast<int32_t>(block / across / down);
    }
    __device__ __forceinline__ int64_t at(const SsimShape& shape, int32_t x, int32_t y) const {
        return (int64_t{channel} * shape.height + y) * shape.width + x;
    }
};

/// The shared memory of a block: kIn planes of the tile with its surroundings, kOut that are
/// blurred along rows.
template <class T, int kIn, int kOut>
struct Stage {
    T* halo;  ///< [kIn][kHaloHeight][kHaloPitch]
    T* rows;  ///< [kOut][kHaloHeight][kRowPitch]
    T* sums;  ///< [kThreads / 32]

    static constexpr size_t kBytes =
        sizeof(T) * (kHaloHeight * (kIn * kHaloPitch + kOut * kRowPitch) + kThreads / 32);
    __device__ __forceinline__ explicit Stage(unsigned char* memory) {
        halo = reinterpret_cast<T*>(memory);
        rows = halo + kIn * kHaloHeight * kHaloPitch;
        sums = rows + kOut * kHaloHeight * kRowPitch;
    }
};

/// What is blurred of the two pictures: x, y, x² + y², xy.
struct Moments {
    template <class T>
    static __device__ __forceinline__ void mix(const T* in, T* out) {
        out[0] = in[0];
        out[1] = in[1];
        out[2] = in[0] * in[0] + in[1] * in[1];
        out[3] = in[0] * in[1];
    }
};

/// What is blurred of the three slopes: they themselves.
struct Slopes {
    template <class T>
    static __device__ __forceinline__ void mix(const T* in, T* out) {
        for (int k = 0; k < 3; ++k) out[k] = in[k];
    }
};

/// Fills the halo, zero outside the picture; false when all of it is zero. Ends with a barrier.
template <class T, int kIn>
__device__ __forceinline__ bool load_halo(const SsimShape& shape, const Tile& tile,
                                          const T* const* planes, T* halo) {
    bool any = false;
    for (int i = static_cast<int>(threadIdx.x); i < kHaloHeight * kHaloWidth; i += kThreads) {
        const int row = i / kHaloWidth, column = i % kHaloWidth;
        const int32_t x = tile.x0 + column - kSsimRadius, y = tile.y0 + row - kSsimRadius;
        const bool inside = x >= 0 && x < shape.width && y >= 0 && y < shape.height;
        const int64_t at = inside ? tile.at(shape, x, y) : 0;
#pragma unroll
        for (int k = 0; k < kIn; ++k) {
            const T value = inside ? planes[k][at] : T(0);
            halo[(k * kHaloHeight + row) * kHaloPitch + column] = value;
            any |= !(value == 0);  // NaN too
        }
    }
    return __syncthreads_or(any);
}

/// Blurs along rows. Ends with a barrier.
template <class Mix, class T, int kIn, int kOut>
__device__ __forceinline__ void blur_rows(const T* window, const Stage<T, kIn, kOut>& stage) {
    for (int i = static_cast<int>(threadIdx.x); i < kHaloHeight * (kWidth / kAcross);
         i += kThreads) {
        const int row = i % kHaloHeight, first = i / kHaloHeight * kAcross;
        T sum[kAcross][kOut] = {};
#pragma unroll
        for (int tap = 0; tap < kAcross + 2 * kSsimRadius; ++tap) {
            T in[kIn], mixed[kOut];
#pragma unroll
            for (int k = 0; k < kIn; ++k)
                in[k] = stage.halo[(k * kHaloHeight + row) * kHaloPitch + first + tap];
            Mix::mix(in, mixed);
#pragma unroll
            for (int j = 0; j < kAcross; ++j) {
                const int distance = tap - j - kSsimRadius;
                if (distance < -kSsimRadius || distance > kSsimRadius) continue;
#pragma unroll
                for (int k = 0; k < kOut; ++k)
                    sum[j][k] += window[distance < 0 ? -distance : distance] * mixed[k];
            }
        }
#pragma unroll
        for (int j = 0; j < kAcross; ++j) {
#pragma unroll
            for (int k = 0; k < kOut; ++k)
                stage.rows[(k * kHaloHeight + row) * kRowPitch + first + j] = sum[j][k];
        }
    }
    __syncthreads();
}

/// Blurs along columns: the thread's pixels, out[j] at (threadIdx.x % kWidth, row + j).
template <class T, int kIn, int kOut>
__device__ __forceinline__ void blur_columns(const T* window, const Stage<T, kIn, kOut>& stage,
                                             int column, int row, T (&out)[kDown][kOut]) {
#pragma unroll
    for (int j = 0; j < kDown; ++j) {
#pragma unroll
        for (int k = 0; k < kOut; ++k) out[j][k] = 0;
    }
#pragma unroll
    for (int tap = 0; tap < kDown + 2 * kSsimRadius; ++tap) {
#pragma unroll
        for (int k = 0; k < kOut; ++k) {
            const T value = stage.rows[(k * kHaloHeight + row + tap) * kRowPitch + column];
#pragma unroll
            for (int j = 0; j < kDown; ++j) {
                const int distance = tap - j - kSsimRadius;
                if (distance < -kSsimRadius || distance > kSsimRadius) continue;
                out[j][k] += window[distance < 0 ? -distance : distance] * value;
            }
        }
    }
}

/// 1 − S, and the slopes of S.
template <class T>
__device__ __forceinline__ T dissimilarity(const T (&moments)[4], T (&slope)[3]) {
    const T mx = moments[0], my = moments[1];
    const T squares = mx * mx + my * my, product = mx * my;
    const T a1 = 2 * product + T(kSsimC1), a2 = 2 * (moments[3] - product) + T(kSsimC2);
    const T b1 = squares + T(kSsimC1), b2 = moments[2] - squares + T(kSsimC2);
    const T inverse = 1 / (b1 * b2), similarity = a1 * a2 / (b1 * b2);  // of equal pictures 1
    slope[0] = 2 * (my * (a2 - a1) * inverse + similarity * mx * (1 / b2 - 1 / b1));
    slope[1] = -similarity / b2;
    slope[2] = 2 * a1 * inverse;
    return 1 - similarity;
}

/// Where both pictures are black, S is 1 and its gradient vanishes: such tiles, the larger part of
/// a picture of one person, are left out. Their slopes come out zero, which no gradient notices:
/// they are multiplied with pixels inside the halo, all zero.
template <class T>
__global__ void __launch_bounds__(kThreads) ssim_forward(SsimParams<T> p) {
    FMGS_DYNAMIC_SHARED(memory);
    const Stage<T, 2, 4> stage(memory);
    const Tile tile(p.shape, blockIdx.x);
    const auto lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
    const int column = static_cast<int>(threadIdx.x) % kWidth,
              row = static_cast<int>(threadIdx.x) / kWidth * kDown;
    const int64_t plane = int64_t{p.shape.channels} * p.shape.height * p.shape.width;
    const T* const pictures[2] = {p.x, p.y};
    const bool any = load_halo<T, 2>(p.shape, tile, pictures, stage.halo);
    T moments[kDown][4] = {};
    if (any) {
        blur_rows<Moments>(p.window, stage);
        blur_columns(p.window, stage, column, row, moments);
    }
    T sum = 0;
#pragma unroll
    for (int j = 0; j < kDown; ++j) {
        const int32_t x = tile.x0 + column, y = tile.y0 + row + j;
        if (x >= p.shape.width || y >= p.shape.height) continue;
        T slope[3] = {0, 0, 0};
        if (any) sum += dissimilarity(moments[j], slope);
        if (!p.slopes) continue;
        const int64_t at = tile.at(p.shape, x, y);
#pragma unroll
        for (int k = 0; k < 3; ++k) p.slopes[k * plane + at] = slope[k];
    }
#pragma unroll
    for (unsigned step = 16; step > 0; step /= 2) sum += __shfl_down_sync(kWholeWarp, sum, step);
    if (lane == 0) stage.sums[warp] = sum;
    __syncthreads();
    if (threadIdx.x != 0) return;
    T total = 0;
    for (int w = 0; w < kThreads / 32; ++w) total += stage.sums[w];
    p.sums[blockIdx.x] = total;
}

template <class T>
__global__ void __launch_bounds__(kThreads) ssim_backward(SsimBackwardParams<T> p) {
    FMGS_DYNAMIC_SHARED(memory);
    const Stage<T, 3, 3> stage(memory);
    const Tile tile(p.shape, blockIdx.x);
    const int column = static_cast<int>(threadIdx.x) % kWidth,
              row = static_cast<int>(threadIdx.x) / kWidth * kDown;
    const int64_t plane = int64_t{p.shape.channels} * p.shape.height * p.shape.width;
    const T* const slopes[3] = {p.slopes, p.slopes + plane, p.slopes + 2 * plane};
    const bool any = load_halo<T, 3>(p.shape, tile, slopes, stage.halo);
    T blurred[kDown][3] = {};
    if (any) {
        blur_rows<Slopes>(p.window, stage);
        blur_columns(p.window, stage, column, row, blurred);
    }
    const T grad = -*p.grad;
#pragma unroll
    for (int j = 0; j < kDown; ++j) {
        const int32_t x = tile.x0 + column, y = tile.y0 + row + j;
        if (x >= p.shape.width || y >= p.shape.height) continue;
        const int64_t at = tile.at(p.shape, x, y);
        p.grad_x[at] =
            grad * (blurred[j][0] + 2 * p.x[at] * blurred[j][1] + p.y[at] * blurred[j][2]);
    }
}

}  // namespace

int64_t ssim_blocks(const SsimShape& shape) {
    const int64_t across = (shape.width + kWidth - 1) / kWidth,
                  down = (shape.height + kHeight - 1) / kHeight;
    return across * down * shape.channels;
}

template <class T>
cudaError_t launch_ssim(const SsimParams<T>& p, cudaStream_t stream) {
    return launch(&ssim_forward<T>, ssim_blocks(p.shape), kThreads, Stage<T, 2, 4>::kBytes, stream,
                  p);
}

template <class T>
cudaError_t launch_ssim_backward(const SsimBackwardParams<T>& p, cudaStream_t stream) {
    return launch(&ssim_backward<T>, ssim_blocks(p.shape), kThreads, Stage<T, 3, 3>::kBytes, stream,
                  p);
}

template cudaError_t launch_ssim<float>(const SsimParams<float>&, cudaStream_t);
template cudaError_t launch_ssim_backward<float>(const SsimBackwardParams<float>&, cudaStream_t);

}  // namespace fmgs::detail
