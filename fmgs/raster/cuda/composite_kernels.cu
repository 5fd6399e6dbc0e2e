/// Projection and the forward pass.
#include <fmgs/raster/cuda/composite_kernels.h>

#include <fmgs/raster/cuda/cell.h>

namespace fmgs::raster {
namespace {

constexpr unsigned kProjectThreads = 128;

template <class T>
__global__ void __launch_bounds__(kProjectThreads) project_surfels(ProjectParams<T> p) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= p.n) return;
    const T *c = p.center + 3 * i, *t = p.tangents + 6 * i;
    const Surfel<T> surfel{
        {c[0], c[1], c[2]}, {t[0], t[2], t[4]}, {t[1], t[3], t[5]}, p.opacity[i]};
    Projected<T> out{};
    if (project<ScalarMath<T>>(surfel, p.intrinsics, p.near, p.low_pass, p.width, p.height, out)) {
        T check = 0;  // becomes NaN with the first value that is not finite
        for (int64_t k = 0; k < p.channels; ++k) check += p.features[i * p.channels + k] * T(0);
        if (!(check == 0)) out.x0 = 0, out.x1 = -1;  // overlaps no cell
    }
    p.surfels[i] = out;
}

/// Stages the surfels that stand at [first, first + 32) in the list, one per lane, and a group of
/// channels of those that reach the half cell; returns which do.
template <class T, int kGroup>
__device__ __forceinline__ unsigned stage_surfels(const ForwardParams<T>& p, const HalfCell& at,
                                                  const Range& list, int32_t first,
                                                  int32_t first_channel, int lane,
                                                  Projected<T> (&staged)[32],
                                                  T (&features)[32][kGroup]) {
    int32_t surfel = -1;
    bool reaches = false;
    if (first + lane < list.end) {
        surfel = surfel_at(p.lists, first + lane);
        staged[lane] = p.surfels[surfel];
        reaches = at.overlaps(staged[lane]);
    }
    const unsigned hits = __ballot_sync(kWholeWarp, reaches);
    for (unsigned rest = hits; rest != 0; rest &= rest - 1) {
        const int j = __ffs(static_cast<int>(rest)) - 1;
        const int64_t row = int64_t{__shfl_sync(kWholeWarp, surfel, j)} * p.channels;
        for (int c = lane; c < kGroup; c += 32) {
            const int32_t channel = first_channel + c;
            features[j][c] = channel < p.channels ? p.features[row + channel] : T(0);
        }
    }
    return hits;
}

template <class T, int kGroup>
__device__ __forceinline__ void write_channels(const ForwardParams<T>& p, int32_t first,
                                               int64_t pixel, const T (&sum)[kGroup]) {
    const int64_t pixels = int64_t{p.lists.width} * p.lists.height;
#pragma unroll
    for (int c = 0; c < kGroup; ++c) {
        if (first + c < p.channels) p.image[(first + c) * pixels + pixel] = sum[c];
    }
}

/// One warp per half cell and group of channels; the first group writes what is not an image.
template <class T, int kGroup>
__global__ void __launch_bounds__(32) composite_forward(ForwardParams<T> p, int32_t groups) {
    using M = ScalarMath<T>;
    __shared__ Projected<T> staged[32];
    alignas(16) __shared__ T features[32][kGroup];
    const int lane = static_cast<int>(threadIdx.x);
    const auto group = static_cast<int32_t>(blockIdx.x % groups);
    const auto half = static_cast<int>(blockIdx.x / groups % kHalves);
    const auto cell = static_cast<int32_t>(blockIdx.x / groups / kHalves);
    const TileLists& lists = p.lists;
    const int32_t cells_across = (lists.width + kCell - 1) / kCell;
    const HalfCell at(cell % cells_across * kCell, cell / cells_across * kCell, half, lane);
    if (at.y0 >= lists.height) return;
    const Tiling tiling(lists);
    const Range list = tile_range(lists, at.y0 / tiling.edge * tiling.across + at.x0 / tiling.edge);
    const int32_t first_channel = group * kGroup;
    const bool inside = at.x < lists.width && at.y < lists.height;

    T sum[kGroup], depth = 0, transmittance = 1;
#pragma unroll
    for (int c = 0; c < kGroup; ++c) sum[c] = 0;
    int32_t last = -1;
    bool open = inside;
    for (int32_t first = list.begin; first < list.end; first += 32) {
        if (!__any_sync(kWholeWarp, open)) break;
        const unsigned hits =
            stage_surfels<T, kGroup>(p, at, list, first, first_channel, lane, staged, features);
        __syncwarp();
        for (unsigned rest = hits; rest != 0; rest &= rest - 1) {
            const int j = __ffs(static_cast<int>(rest)) - 1;
            const Projected<T>& s = staged[j];
            const T dx = static_cast<T>(at.x) + T(0.5) - s.c0,
                    dy = static_cast<T>(at.y) + T(0.5) - s.c1;
            const auto sample = sample_alpha<M>(s, dx, dy);
            if (!open || !(sample.alpha >= T(kAlphaMin))) continue;
            const T after = transmittance * (T(1) - sample.alpha);
            if (after < T(kTransmittanceMin)) {
                open = false;
                continue;
            }
            const T weight = sample.alpha * transmittance;
            depth += weight * sample_hit<M>(s, sample).z;
            transmittance = after;
            last = first - list.begin + j;
#pragma unroll
            for (int c = 0; c < kGroup; ++c) sum[c] += weight * features[j][c];
        }
        __syncwarp();  // the stage is read to the end before it is filled again
    }
    if (!inside) return;
    const int64_t pixel = int64_t{at.y} * lists.width + at.x;
    write_channels(p, first_channel, pixel, sum);
    if (group != 0) return;
    p.alpha[pixel] = T(1) - transmittance;
    p.depth[pixel] = depth;
    p.transmittance[pixel] = transmittance;
    p.last[pixel] = last;
}

template <class T, int kGroup>
cudaError_t forward_in_groups(const ForwardParams<T>& p, cudaStream_t stream) {
    const int64_t across = (p.lists.width + kCell - 1) / kCell,
                  down = (p.lists.height + kCell - 1) / kCell;
    const int32_t groups = p.channels > kGroup ? (p.channels + kGroup - 1) / kGroup : 1;
    return launch(&composite_forward<T, kGroup>, across * down * kHalves * groups, 32, 0, stream, p,
                  groups);
}

/// What drawing in groups of this size costs: each group evaluates all samples again, which takes
/// as long as some 60 channels, and works on whole groups.
int64_t cost(int64_t channels, int64_t group) {
    const int64_t groups = channels > group ? (channels + group - 1) / group : 1;
    return groups * (60 + group);
}

}  // namespace

template <class T>
cudaError_t launch_project(const ProjectParams<T>& p, cudaStream_t stream) {
    return launch(&project_surfels<T>, (p.n + kProjectThreads - 1) / kProjectThreads,
                  kProjectThreads, 0, stream, p);
}

template <class T>
cudaError_t launch_forward(const ForwardParams<T>& p, cudaStream_t stream) {
    int64_t best = 4;
    for (const int64_t group : {16, 32, 40}) {
        if (cost(p.channels, group) < cost(p.channels, best)) best = group;
    }
    switch (best) {
        case 4:
            return forward_in_groups<T, 4>(p, stream);
        case 16:
            return forward_in_groups<T, 16>(p, stream);
        case 32:
            return forward_in_groups<T, 32>(p, stream);
        default:
            return forward_in_groups<T, 40>(p, stream);
    }
}

template cudaError_t launch_project<float>(const ProjectParams<float>&, cudaStream_t);
template cudaError_t launch_forward<float>(const ForwardParams<float>&, cudaStream_t);

}  // namespace fmgs::raster
