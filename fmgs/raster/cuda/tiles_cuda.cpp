/// Torch's side of the CUDA backend of fmgs::find_tiles.
#include <fmgs/core/cuda/check.h>
#include <fmgs/raster/cuda/rasterize_cuda.h>
#include <fmgs/raster/cuda/tiles_kernels.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs::raster {
namespace {

using torch::Tensor;

/// Runs a sort: asks for its memory, then does it.
template <class Sort>
void with_storage(const Tensor& like, const char* what, Sort&& sort) {
    size_t bytes = 0;
    check_cuda(sort(nullptr, bytes), what);
    const auto storage =
        torch::empty({static_cast<int64_t>(bytes)}, like.options().dtype(torch::kByte));
    check_cuda(sort(storage.mutable_data_ptr(), bytes), what);
}

/// Bytes of torch's integers, which have no unsigned kinds that all operations know.
template <class Key>
constexpr auto kKeyType = sizeof(Key) == 4 ? torch::kInt : torch::kLong;

/// Intersections, sorted, as lists.
template <class Key>
void fill_lists(IntersectionParams intersections, const TilesOutputs& tiles, const Tensor& like,
                cudaStream_t stream) {
    const auto options = like.options().dtype(kKeyType<Key>);
    const auto keys = torch::full({intersections.capacity}, -1, options),
               sorted = torch::empty_like(keys);
    Key *in = static_cast<Key*>(keys.mutable_data_ptr()),
        *out = static_cast<Key*>(sorted.mutable_data_ptr());
    check_cuda(launch_intersections(intersections, in, stream), "find_tiles: intersections");
    with_storage(like, "find_tiles: sorting intersections", [&](void* storage, size_t& bytes) {
        return sort_keys<Key>(storage, bytes, in, out, intersections.capacity,
                              intersections.format.rank_bits + intersections.format.tile_bits,
                              stream);
    });
    const ListParams lists{intersections.order, intersections.capacity, intersections.format,
                           tiles.offsets.mutable_data_ptr<int32_t>(),
                           tiles.indices.mutable_data_ptr<int32_t>()};
    check_cuda(launch_lists(lists, out, stream), "find_tiles: lists");
}

/// The surfels' boxes, and their order by depth.
template <class T>
struct OrderedBoxes {
    using Depth = typename DepthKey<T>::Type;
    Tensor boxes, order;  ///< [N,4], [N] int32
    Tensor counters;      ///< [kMaxLevels + 1] int64: totals of the levels, and a cursor
    int32_t levels = 1;   ///< tile_size · 2^(levels−1) covers the image

    OrderedBoxes(const TilesInputs& in, cudaStream_t stream) {
        const int64_t n = in.center.size(0);
        const auto ints = in.center.options().dtype(torch::kInt);
        boxes = torch::empty({n, 4}, ints);
        order = torch::empty({n}, ints);
        counters = torch::zeros({kMaxLevels + 1}, in.center.options().dtype(torch::kLong));
        const auto ids = torch::empty({n}, ints);
        const auto depths = torch::empty({n}, in.center.options().dtype(kKeyType<Depth>)),
                   sorted = torch::empty_like(depths);
        while (in.tile_size << (levels - 1) < std::max(in.width, in.height)) ++levels;
        const auto p = in.center.contiguous(), ab = in.tangents.contiguous(),
                   o = in.opacity.contiguous(), k = in.intrinsics.contiguous();
        BoxParams<T> box{};
        box.center = p.template const_data_ptr<T>();
        box.tangents = ab.template const_data_ptr<T>();
        box.opacity = o.template const_data_ptr<T>();
        box.intrinsics = k.template const_data_ptr<T>();
        box.n = n;
        box.near = static_cast<T>(in.near);
        box.low_pass = static_cast<T>(in.low_pass);
        box.width = static_cast<int32_t>(in.width);
        box.height = static_cast<int32_t>(in.height);
        box.tile_size = static_cast<int32_t>(in.tile_size);
        box.levels = levels;
        box.boxes = boxes.template mutable_data_ptr<int32_t>();
        box.depths = static_cast<Depth*>(depths.mutable_data_ptr());
        box.ids = ids.template mutable_data_ptr<int32_t>();
        box.totals = totals();
        check_cuda(launch_boxes(box, stream), "find_tiles: boxes");
        with_storage(in.center, "find_tiles: sorting surfels", [&](void* storage, size_t& bytes) {
            return sort_pairs<Depth>(
                storage, bytes, box.depths, static_cast<Depth*>(sorted.mutable_data_ptr()), box.ids,
                order.template mutable_data_ptr<int32_t>(), n, 8 * sizeof(Depth), stream);
        });
    }
    unsigned long long* totals() const {
        return static_cast<unsigned long long*>(counters.mutable_data_ptr());
    }
};

/// capacity: of the lists, at least the surfels; 0: list_capacity.
template <class T>
TilesOutputs bin_on_device(const TilesInputs& in, int64_t capacity = 0) {
    const int64_t n = in.center.size(0), size = in.tile_size;
    const int64_t count = ((in.width + size - 1) / size) * ((in.height + size - 1) / size);
    if (capacity == 0) capacity = list_capacity(n, count);
    if (size % kCell != 0)
        throw Error(fmt::format(
            "find_tiles: expected a tile size that is a multiple of {} on a GPU, got {}", kCell,
            size));
    if (capacity > INT32_MAX)
        throw Error(fmt::format("find_tiles: {} surfels and {} tiles are too many for 32-bit lists",
                                n, count));
    const auto ints = in.center.options().dtype(torch::kInt);
    const TilesOutputs tiles{torch::zeros({count + 1}, ints),
                             torch::empty({n == 0 ? 0 : capacity}, ints), torch::zeros({1}, ints)};
    if (n == 0) return tiles;

    const c10::cuda::CUDAGuard guard(in.center.device());
    const cudaStream_t stream = stream_of(in.center);
    const OrderedBoxes<T> surfels(in, stream);
    const IntersectionParams intersections{surfels.boxes.template const_data_ptr<int32_t>(),
                                           surfels.order.template const_data_ptr<int32_t>(),
                                           n,
                                           capacity,
                                           static_cast<int32_t>(in.width),
                                           static_cast<int32_t>(in.height),
                                           static_cast<int32_t>(size),
                                           surfels.levels,
                                           {n, count},
                                           surfels.totals(),
                                           surfels.totals() + kMaxLevels,
                                           tiles.level.template mutable_data_ptr<int32_t>()};
    if (intersections.format.is_narrow()) {
        fill_lists<uint32_t>(intersections, tiles, in.center, stream);
    } else {
        fill_lists<uint64_t>(intersections, tiles, in.center, stream);
    }
    return tiles;
}

}  // namespace

TilesOutputs find_tiles_cuda(const TilesInputs& in) {
    if (in.center.scalar_type() != torch::kFloat)
        throw Error(fmt::format("find_tiles: expected float on a GPU, got {}",
                                toString(in.center.scalar_type())));
    return bin_on_device<float>(in);
}

}  // namespace fmgs::raster
