#include <fmgs/raster/cuda/tiles_kernels.h>

#include <fmgs/raster/cuda/cell.h>

namespace fmgs::raster {
namespace {

constexpr unsigned kThreads = 128;

/// The tiles that a box touches.
struct TileBox {
    int32_t x0, y0, x1, y1;

    /// left … bottom: pixels; right < left: none.
    __device__ __forceinline__ TileBox(int32_t left, int32_t top, int32_t right, int32_t bottom,
                                       int32_t edge)
        : x0(left / edge), y0(top / edge), x1(right / edge), y1(bottom / edge) {
        if (right < left) x1 = x0 - 1;
    }
    __device__ __forceinline__ unsigned long long count() const {
        return x1 < x0 ? 0ULL : static_cast<unsigned long long>(x1 - x0 + 1) * (y1 - y0 + 1);
    }
};

template <class T>
__global__ void __launch_bounds__(kThreads) find_boxes(BoxParams<T> p) {
    using Key = typename DepthKey<T>::Type;
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    Projected<T> s{};
    s.x1 = -1;
    if (i < p.n) {
        const T *c = p.center + 3 * i, *t = p.tangents + 6 * i;
        const Surfel<T> surfel{
            {c[0], c[1], c[2]}, {t[0], t[2], t[4]}, {t[1], t[3], t[5]}, p.opacity[i]};
        const bool visible =
            project<ScalarMath<T>>(surfel, p.intrinsics, p.near, p.low_pass, p.width, p.height, s);
        Key key = ~Key{0};
        if (visible) memcpy(&key, &s.z, sizeof key);
        p.depths[i] = key;
        p.ids[i] = static_cast<int32_t>(i);
        int32_t* const box = p.boxes + 4 * i;
        box[0] = s.x0;
        box[1] = s.y0;
        box[2] = s.x1;
        box[3] = s.y1;
    }
    for (int32_t level = 0; level < p.levels; ++level) {
        unsigned long long count = TileBox(s.x0, s.y0, s.x1, s.y1, p.tile_size << level).count();
        for (unsigned step = 16; step > 0; step /= 2)
            count += __shfl_down_sync(kWholeWarp, count, step);
        if (threadIdx.x % 32 == 0 && count > 0) atomicAdd(p.totals + level, count);
    }
}

/// Writes the intersections of every surfel, in any order: the keys differ, so that sorting settles
/// it.
template <class Key>
__global__ void __launch_bounds__(kThreads) write_intersections(IntersectionParams p, Key* keys) {
    const int64_t rank = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    int32_t level = 0;
    while (level + 1 < p.levels && p.totals[level] > static_cast<unsigned long long>(p.capacity))
        ++level;
    if (rank == 0) *p.level = level;
    const int32_t edge = p.tile_size << level, across = (p.width + edge - 1) / edge;
    const int64_t box = rank < p.n ? 4 * int64_t{p.order[rank]} : -1;
    const TileBox tiles(box < 0 ? 0 : p.boxes[box], box < 0 ? 0 : p.boxes[box + 1],
                        box < 0 ? -1 : p.boxes[box + 2], box < 0 ? -1 : p.boxes[box + 3], edge);
    const unsigned long long count = tiles.count();
    // One place for the warp, then each lane's after those before it.
    const auto lane = threadIdx.x % 32;
    unsigned long long end = count;
    for (unsigned step = 1; step < 32; step *= 2) {
        const unsigned long long before = __shfl_up_sync(kWholeWarp, end, step);
        if (lane >= step) end += before;
    }
    const unsigned long long total = __shfl_sync(kWholeWarp, end, 31);
    unsigned long long place = 0;
    if (lane == 0 && total > 0) place = atomicAdd(p.cursor, total);
    place = __shfl_sync(kWholeWarp, place, 0) + end - count;
    if (place + count > static_cast<unsigned long long>(p.capacity)) __trap();
    if (count == 0) return;
    for (int32_t y = tiles.y0; y <= tiles.y1; ++y) {
        for (int32_t x = tiles.x0; x <= tiles.x1; ++x)
            keys[place++] =
                static_cast<Key>(y * across + x) << p.format.rank_bits | static_cast<Key>(rank);
    }
}

template <class Key>
__device__ __forceinline__ int32_t tile_of(const KeyFormat& format, Key key) {
    const Key tile = key >> format.rank_bits;
    return tile < static_cast<Key>(format.tiles) ? static_cast<int32_t>(tile) : format.tiles;
}

template <class Key>
__global__ void __launch_bounds__(kThreads) write_lists(ListParams p, const Key* keys) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i > p.capacity) return;
    const int32_t before = i == 0 ? -1 : tile_of(p.format, keys[i - 1]);
    const int32_t tile = i == p.capacity ? p.format.tiles : tile_of(p.format, keys[i]);
    for (int32_t t = before + 1; t <= tile; ++t) p.offsets[t] = static_cast<int32_t>(i);
    if (i == p.capacity) return;
    const Key rank = keys[i] & ((Key{1} << p.format.rank_bits) - 1);
    p.indices[i] = tile < p.format.tiles ? p.order[rank] : 0;
}

int64_t blocks_for(int64_t threads) { return (threads + kThreads - 1) / kThreads; }

}  // namespace

template <class T>
cudaError_t launch_boxes(const BoxParams<T>& p, cudaStream_t stream) {
    return launch(&find_boxes<T>, blocks_for(p.n), kThreads, 0, stream, p);
}

template <class Key>
cudaError_t launch_intersections(const IntersectionParams& p, Key* keys, cudaStream_t stream) {
    return launch(&write_intersections<Key>, blocks_for(p.n), kThreads, 0, stream, p, keys);
}

template <class Key>
cudaError_t launch_lists(const ListParams& p, const Key* keys, cudaStream_t stream) {
    return launch(&write_lists<Key>, blocks_for(p.capacity + 1), kThreads, 0, stream, p, keys);
}

template cudaError_t launch_boxes<float>(const BoxParams<float>&, cudaStream_t);
template cudaError_t launch_intersections<uint32_t>(const IntersectionParams&, uint32_t*,
                                                    cudaStream_t);
template cudaError_t launch_intersections<uint64_t>(const IntersectionParams&, uint64_t*,
                                                    cudaStream_t);
template cudaError_t launch_lists<uint32_t>(const ListParams&, const uint32_t*, cudaStream_t);
template cudaError_t launch_lists<uint64_t>(const ListParams&, const uint64_t*, cudaStream_t);

}  // namespace fmgs::raster
