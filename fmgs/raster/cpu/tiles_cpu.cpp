/// The CPU backend of fmgs::find_tiles.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/raster/cpu/call.h>
#include <fmgs/raster/tiles_op.h>
#include <fmt/format.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace fmgs::raster {
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
std::vector<Projected<T>> project_all(const TilesInputs& in) {
    const int64_t n = in.center.size(0);
    const auto center = in.center.contiguous(), tangents = in.tangents.contiguous(),
               opacity = in.opacity.contiguous(), intrinsics = in.intrinsics.contiguous();
    const SurfelRows<T> rows{center.template const_data_ptr<T>(),
                             tangents.template const_data_ptr<T>(),
                             opacity.template const_data_ptr<T>(),
                             intrinsics.template const_data_ptr<T>(),
                             static_cast<T>(in.near),
                             static_cast<T>(in.low_pass),
                             in.width,
                             in.height};
    const auto functions = functions_of<T>(tile_backend());
    std::vector<Projected<T>> projected(static_cast<size_t>(n));
    at::parallel_for(0, n, 4096, [&](int64_t begin, int64_t end) {
        functions.project(rows, begin, end, projected.data() + begin);
    });
    return projected;
}

template <class T>
TilesOutputs bin(const TilesInputs& in) {
    const auto tiles_along = [&](int64_t n) { return (n + in.tile_size - 1) / in.tile_size; };
    const int64_t across = tiles_along(in.width), count = across * tiles_along(in.height);
    const auto projected = project_all<T>(in);
    const auto ints = in.center.options().dtype(torch::kInt);
    TilesOutputs out{torch::zeros({count + 1}, ints), {}, torch::zeros({1}, ints)};
    int32_t* offsets = out.offsets.template data_ptr<int32_t>();
    const auto size = static_cast<int32_t>(in.tile_size);
    const auto for_tiles = [&](const Projected<T>& s, auto&& f) {
        for (int32_t y = s.y0 / size; y <= s.y1 / size; ++y) {
            for (int32_t x = s.x0 / size; x <= s.x1 / size; ++x) f(y * across + x);
        }
    };
    std::vector<Keyed> order;
    order.reserve(projected.size());
    int64_t total = 0;
    for (size_t i = 0; i < projected.size(); ++i) {
        const auto& s = projected[i];
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
    out.indices = torch::empty({total}, ints);
    int32_t* indices = out.indices.template data_ptr<int32_t>();
    std::vector<int32_t> next(offsets, offsets + count);
    for (const auto& item : order) {
        for_tiles(projected[static_cast<size_t>(item.surfel)],
                  [&](int64_t tile) { indices[next[static_cast<size_t>(tile)]++] = item.surfel; });
    }
    return out;
}

TilesOutputs find_tiles_cpu(const TilesInputs& in) {
    TilesOutputs out;
    AT_DISPATCH_FLOATING_TYPES(in.center.scalar_type(), "find_tiles",
                               [&] { out = bin<scalar_t>(in); });
    return out;
}

}  // namespace
}  // namespace fmgs::raster

TORCH_LIBRARY_IMPL(fmgs, CPU, m) {
    m.impl("find_tiles", fmgs::raster::find_tiles_kernel<&fmgs::raster::find_tiles_cpu>);
}
