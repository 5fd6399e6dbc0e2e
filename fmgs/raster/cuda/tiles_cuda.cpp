/// Torch's side of the CUDA backend of find_tiles.

#include <fmgs/raster/cuda/tiles_cuda.h>

#include <fmgs/core/cuda/check.h>
#include <fmgs/raster/cuda/tiles_kernels.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs::raster {
namespace {

using torch::Tensor;

/// Intersections that the lists have room for. A surfel of the size that the method works with
/// touches some three tiles.
int64_t capacity_for(int64_t surfels, int64_t tiles) { return 8 * surfels + 4 * tiles; }

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
void fill_lists(IntersectionParams intersections, Tiles& tiles, const Tensor& like,
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

/// capacity: of the lists, at least the surfels; 0: capacity_for.
template <class T>
Tiles bin_on_device(const Tensor& center, const Tensor& tangents, const Tensor& opacity,
                    const Tensor& intrinsics, Tiles tiles, int64_t capacity = 0) {
    using Depth = typename DepthKey<T>::Type;
    const int64_t n = center.size(0), size = tiles.size;
    const int64_t count = ((tiles.width + size - 1) / size) * ((tiles.height + size - 1) / size);
    if (capacity == 0) capacity = capacity_for(n, count);
    if (size % kCell != 0)
        throw Error(fmt::format(
            "find_tiles: expected a tile size that is a multiple of {} on a GPU, got {}", kCell,
            size));
    if (capacity > INT32_MAX)
        throw Error(fmt::format("find_tiles: {} surfels and {} tiles are too many for 32-bit lists",
                                n, count));
    const auto ints = center.options().dtype(torch::kInt);
    tiles.level = torch::zeros({1}, ints);
    tiles.offsets = torch::zeros({count + 1}, ints);
    tiles.indices = torch::empty({n == 0 ? 0 : capacity}, ints);
    if (n == 0) return tiles;

    const c10::cuda::CUDAGuard guard(center.device());
    const cudaStream_t stream = stream_of(center);
    const auto boxes = torch::empty({n, 4}, ints), ids = torch::empty({n}, ints),
               order = torch::empty({n}, ints);
    const auto depths = torch::empty({n}, center.options().dtype(kKeyType<Depth>)),
               sorted = torch::empty_like(depths);
    const auto counters = torch::zeros({kMaxLevels + 1}, center.options().dtype(torch::kLong));
    auto* const totals = static_cast<unsigned long long*>(counters.mutable_data_ptr());
    int32_t levels = 1;
    while (size << (levels - 1) < std::max(tiles.width, tiles.height)) ++levels;

    const auto p = center.contiguous(), ab = tangents.contiguous(), o = opacity.contiguous(),
               k = intrinsics.contiguous();
    BoxParams<T> box{};
    box.center = p.template const_data_ptr<T>();
    box.tangents = ab.template const_data_ptr<T>();
    box.opacity = o.template const_data_ptr<T>();
    box.intrinsics = k.template const_data_ptr<T>();
    box.n = n;
    box.near = static_cast<T>(tiles.near);
    box.low_pass = static_cast<T>(tiles.low_pass);
    box.width = static_cast<int32_t>(tiles.width);
    box.height = static_cast<int32_t>(tiles.height);
    box.tile_size = static_cast<int32_t>(size);
    box.levels = levels;
    box.boxes = boxes.template mutable_data_ptr<int32_t>();
    box.depths = static_cast<Depth*>(depths.mutable_data_ptr());
    box.ids = ids.template mutable_data_ptr<int32_t>();
    box.totals = totals;
    check_cuda(launch_boxes(box, stream), "find_tiles: boxes");
    with_storage(center, "find_tiles: sorting surfels", [&](void* storage, size_t& bytes) {
        return sort_pairs<Depth>(
            storage, bytes, box.depths, static_cast<Depth*>(sorted.mutable_data_ptr()), box.ids,
            order.template mutable_data_ptr<int32_t>(), n, 8 * sizeof(Depth), stream);
    });

    const IntersectionParams intersections{box.boxes,
                                           order.template const_data_ptr<int32_t>(),
                                           n,
                                           capacity,
                                           box.width,
                                           box.height,
                                           box.tile_size,
                                           levels,
                                           {n, count},
                                           totals,
                                           totals + kMaxLevels,
                                           tiles.level.template mutable_data_ptr<int32_t>()};
    if (intersections.format.is_narrow()) {
        fill_lists<uint32_t>(intersections, tiles, center, stream);
    } else {
        fill_lists<uint64_t>(intersections, tiles, center, stream);
    }
    return tiles;
}

}  // namespace

Tiles find_tiles_cuda(const Tensor& center, const Tensor& tangents, const Tensor& opacity,
                      const Tensor& intrinsics, Tiles tiles) {
    torch::NoGradGuard guard;  // which tile a surfel is in has no gradient
    if (center.scalar_type() != torch::kFloat)
        throw Error(fmt::format("find_tiles: expected float on a GPU, got {}",
                                toString(center.scalar_type())));
    return bin_on_device<float>(center, tangents, opacity, intrinsics, std::move(tiles));
}

}  // namespace fmgs::raster
