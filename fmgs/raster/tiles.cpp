#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/raster/cuda/tiles_cuda.h>
#include <fmgs/raster/rasterize.h>
#include <fmgs/raster/surfel_math.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

namespace fmgs {
namespace {

/// Bits that order like the positive number they come from.
uint64_t key(float z) {
    uint32_t bits;
    std::memcpy(&bits, &z, sizeof bits);
    return bits;
}
uint64_t key(double z) {
    uint64_t bits;
    std::memcpy(&bits, &z, sizeof bits);
    return bits;
}

struct Keyed {
    uint64_t key;
    int32_t surfel;
};

/// Stable: equal keys keep their order. Bytes that all keys share are skipped.
void radix_sort(std::vector<Keyed>& items) {
    std::vector<Keyed> other(items.size());
    for (int shift = 0; shift < 64; shift += 8) {
        std::array<size_t, 257> start{};
        for (const auto& item : items) ++start[((item.key >> shift) & 255) + 1];
        if (std::find(start.begin(), start.end(), items.size()) != start.end()) continue;
        for (size_t i = 1; i < start.size(); ++i) start[i] += start[i - 1];
        for (const auto& item : items) other[start[(item.key >> shift) & 255]++] = item;
        items.swap(other);
    }
}

template <class T>
Tiles bin(const torch::Tensor& center, const torch::Tensor& tangents, const torch::Tensor& opacity,
          const torch::Tensor& intrinsics, Tiles tiles) {
    const int64_t n = center.size(0), across = (tiles.width + tiles.size - 1) / tiles.size;
    const int64_t count = across * ((tiles.height + tiles.size - 1) / tiles.size);
    const T *p = center.const_data_ptr<T>(), *ab = tangents.const_data_ptr<T>(),
            *o = opacity.const_data_ptr<T>();
    const T* k = intrinsics.const_data_ptr<T>();
    std::vector<raster::Projected<T>> projected(static_cast<size_t>(n));
    at::parallel_for(0, n, 4096, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const T* t = ab + 6 * i;
            const raster::Surfel<T> surfel{{p[3 * i], p[3 * i + 1], p[3 * i + 2]},
                                           {t[0], t[2], t[4]},
                                           {t[1], t[3], t[5]},
                                           o[i]};
            raster::project(surfel, k, static_cast<T>(tiles.near), static_cast<T>(tiles.low_pass),
                            tiles.width, tiles.height, projected[static_cast<size_t>(i)]);
        }
    });
    std::vector<Keyed> order;
    order.reserve(static_cast<size_t>(n));
    tiles.offsets = torch::zeros({count + 1}, torch::kInt);
    int32_t* offsets = tiles.offsets.data_ptr<int32_t>();
    const auto size = static_cast<int32_t>(tiles.size);
    const auto for_tiles = [&](const raster::Projected<T>& s, auto&& f) {
        for (int32_t y = s.y0 / size; y <= s.y1 / size; ++y) {
            for (int32_t x = s.x0 / size; x <= s.x1 / size; ++x) f(y * across + x);
        }
    };
    int64_t total = 0;
    for (int64_t i = 0; i < n; ++i) {
        const auto& s = projected[static_cast<size_t>(i)];
        if (s.x1 < s.x0) continue;
        order.push_back({key(s.z), static_cast<int32_t>(i)});
        for_tiles(s, [&](int64_t tile) {
            ++offsets[tile + 1];
            ++total;
        });
    }
    if (total > INT32_MAX)
        throw Error(fmt::format(
            "find_tiles: {} intersections of surfels and tiles; at most {} fit: use larger tiles",
            total, INT32_MAX));
    for (int64_t t = 0; t < count; ++t) offsets[t + 1] += offsets[t];
    radix_sort(order);
    tiles.indices = torch::empty({total}, torch::kInt);
    int32_t* indices = tiles.indices.data_ptr<int32_t>();
    std::vector<int32_t> next(offsets, offsets + count);
    for (const auto& item : order) {
        for_tiles(projected[static_cast<size_t>(item.surfel)],
                  [&](int64_t tile) { indices[next[static_cast<size_t>(tile)]++] = item.surfel; });
    }
    return tiles;
}

}  // namespace

Tiles find_tiles(const torch::Tensor& center, const torch::Tensor& tangents,
                 const torch::Tensor& opacity, const torch::Tensor& intrinsics, int64_t width,
                 int64_t height, double near, double low_pass, int64_t tile_size) {
    check_shape(center, {-1, 3}, "find_tiles: center");
    check_shape(tangents, {center.size(0), 3, 2}, "find_tiles: tangents");
    check_shape(opacity, {center.size(0), 1}, "find_tiles: opacity");
    check_shape(intrinsics, {4}, "find_tiles: intrinsics");
    if (width < 1 || height < 1 || width > (1 << 20) || height > (1 << 20))
        throw Error(fmt::format("find_tiles: expected a size of 1 to 2^20 pixels, got {} x {}",
                                width, height));
    check_device(center.device(), "find_tiles");
    if (tile_size == 0) tile_size = center.is_cpu() ? 32 : 8;
    if (tile_size < 1 || tile_size > 64)
        throw Error(fmt::format("find_tiles: expected a tile size of 1 to 64, got {}", tile_size));
    if (!(low_pass > 0) || !std::isfinite(low_pass))
        throw Error(fmt::format(
            "find_tiles: low_pass: expected a positive number of pixels, got {}", low_pass));
    if (!(near >= 0)) throw Error(fmt::format("find_tiles: expected near >= 0, got {}", near));
    for (const auto& x : {tangents, opacity, intrinsics}) {
        if (x.scalar_type() != center.scalar_type() || x.device() != center.device())
            throw Error(
                fmt::format("find_tiles: expected one dtype and device, got {} on {} and {} on {}",
                            toString(center.scalar_type()), center.device().str(),
                            toString(x.scalar_type()), x.device().str()));
    }
    Tiles tiles;
    tiles.width = width;
    tiles.height = height;
    tiles.size = tile_size;
    tiles.near = near;
    tiles.low_pass = low_pass;
#if defined(FMGS_CUDA)
    if (center.is_cuda())
        return raster::find_tiles_cuda(center, tangents, opacity, intrinsics, tiles);
#endif
    AT_DISPATCH_FLOATING_TYPES(center.scalar_type(), "find_tiles", [&] {
        tiles = bin<scalar_t>(center.contiguous(), tangents.contiguous(), opacity.contiguous(),
                              intrinsics.contiguous(), tiles);
    });
    return tiles;
}

}  // namespace fmgs
