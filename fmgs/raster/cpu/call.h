#pragma once
/// A call of the CPU backend of fmgs::rasterize: what both directions share. It projects, and hands
/// tiles to threads.
#include <ATen/Parallel.h>
#include <fmgs/raster/cpu/composite.h>
#include <fmgs/raster/rasterize_op.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <vector>

namespace fmgs::raster {

template <class T>
CpuFunctions<T> functions_of(const TileBackend& backend) {
    if constexpr (std::is_same_v<T, float>) {
        return backend.single;
    } else {
        return backend.twofold;
    }
}

/// The surfels of contiguous inputs of find_tiles or rasterize.
template <class T, class Inputs>
SurfelRows<T> rows_of(const Inputs& in) {
    return {in.center.template const_data_ptr<T>(),
            in.tangents.template const_data_ptr<T>(),
            in.opacity.template const_data_ptr<T>(),
            in.intrinsics.template const_data_ptr<T>(),
            static_cast<T>(in.near),
            static_cast<T>(in.low_pass),
            in.width,
            in.height};
}

/// The tiles that a surfel's box meets.
struct TileBox {
    int32_t x0 = 0, y0 = 0, x1 = -1, y1 = -1;

    TileBox() = default;
    template <class T>
    TileBox(const Projected<T>& s, int32_t tile_size) {
        if (s.x1 < s.x0) return;
        x0 = s.x0 / tile_size;
        y0 = s.y0 / tile_size;
        x1 = s.x1 / tile_size;
        y1 = s.y1 / tile_size;
    }
    int64_t width() const { return x1 - x0 + 1; }
    int64_t count() const { return width() * (y1 - y0 + 1); }
    template <class F>
    void for_tiles(int64_t across, F&& f) const {
        for (int64_t y = y0; y <= y1; ++y) {
            for (int64_t x = x0; x <= x1; ++x) f(y * across + x);
        }
    }
};

template <class T>
bool all_finite(const T* x, int64_t n) {
    T check[4] = {};  // becomes NaN with the first value that is not finite
    for (; n >= 4; n -= 4, x += 4) {
        for (int k = 0; k < 4; ++k) check[k] += x[k] * T(0);
    }
    for (; n > 0; --n) check[0] += *x++ * T(0);
    return (check[0] + check[1]) + (check[2] + check[3]) == 0;
}

/// Everything of a call that does not depend on the tile.
template <class T>
struct Call {
    RasterizeInputs in;  // contiguous
    SurfelRows<T> rows;
    int64_t n, channels, routes, across;
    std::unique_ptr<Projected<T>[]> surfels;
    std::vector<int32_t> channel, begin;
    CpuFunctions<T> functions;

    Call(const RasterizeInputs& inputs, const TileBackend& backend);
    /// Fills what both directions share.
    void set_tile(Tile<T>& tile, int64_t index) const;
    /// Runs f(tile, workspace) for the given tiles on all threads, the fullest first.
    template <class F>
    void for_tiles(std::vector<int64_t> tiles, F&& f) const;
};

template <class T>
Call<T>::Call(const RasterizeInputs& inputs, const TileBackend& backend)
    : in(inputs), functions(functions_of<T>(backend)) {
    n = in.center.size(1);
    routes = in.center.size(0);
    channels = in.features.size(1);
    across = (in.width + in.tile_size - 1) / in.tile_size;
    for (auto* x : {&in.center, &in.tangents, &in.opacity, &in.features, &in.intrinsics,
                    &in.offsets, &in.indices, &in.channel_route})
        *x = x->contiguous();
    rows = rows_of<T>(in);

    const int64_t* route = in.channel_route.const_data_ptr<int64_t>();
    channel.resize(static_cast<size_t>(channels));
    std::iota(channel.begin(), channel.end(), 0);
    const auto group = [&](int64_t k) { return route[k] < 0 ? routes : route[k]; };
    std::stable_sort(channel.begin(), channel.end(),
                     [&](int32_t a, int32_t b) { return group(a) < group(b); });
    begin.assign(static_cast<size_t>(routes + 2), 0);
    for (int64_t k = 0; k < channels; ++k) ++begin[static_cast<size_t>(group(k) + 1)];
    std::partial_sum(begin.begin(), begin.end(), begin.begin());

    surfels.reset(new Projected<T>[static_cast<size_t>(n)]);
    const T* features = in.features.const_data_ptr<T>();
    at::parallel_for(0, n, 2048, [&](int64_t first, int64_t last) {
        functions.project(rows, first, last, surfels.get() + first);
        for (int64_t i = first; i < last; ++i) {
            auto& s = surfels[static_cast<size_t>(i)];
            if (!all_finite(features + i * channels, channels)) s.x1 = s.x0 - 1;
        }
    });
}

template <class T>
void Call<T>::set_tile(Tile<T>& tile, int64_t index) const {
    const int32_t* offsets = in.offsets.template const_data_ptr<int32_t>();
    tile.surfels = surfels.get();
    tile.indices = in.indices.template const_data_ptr<int32_t>() + offsets[index];
    tile.count = offsets[index + 1] - offsets[index];
    tile.features = in.features.template const_data_ptr<T>();
    tile.channel = channel.data();
    tile.begin = begin.data();
    tile.channels = channels;
    tile.routes = routes;
    tile.x0 = static_cast<int32_t>(index % across * in.tile_size);
    tile.y0 = static_cast<int32_t>(index / across * in.tile_size);
    tile.x1 = static_cast<int32_t>(std::min(tile.x0 + in.tile_size, in.width));
    tile.y1 = static_cast<int32_t>(std::min(tile.y0 + in.tile_size, in.height));
    tile.width = in.width;
    tile.height = in.height;
}

template <class T>
template <class F>
void Call<T>::for_tiles(std::vector<int64_t> tiles, F&& f) const {
    const int32_t* offsets = in.offsets.template const_data_ptr<int32_t>();
    std::stable_sort(tiles.begin(), tiles.end(), [offsets](int64_t a, int64_t b) {
        return offsets[a + 1] - offsets[a] > offsets[b + 1] - offsets[b];
    });
    // Which thread takes a tile does not matter: no two tiles write the same place.
    std::atomic<size_t> next{0};
    at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t first, int64_t last) {
        for (; first < last; ++first) {
            std::unique_ptr<T[]> memory;
            T* workspace = nullptr;
            for (size_t i; (i = next++) < tiles.size();) {
                if (!memory) {
                    auto bytes = sizeof(T) * static_cast<size_t>(
                                                 workspace_size(in.tile_size, channels, routes)) +
                                 kCacheLine;
                    memory.reset(new T[bytes / sizeof(T)]);
                    void* start = memory.get();
                    workspace =
                        static_cast<T*>(std::align(kCacheLine, bytes - kCacheLine, start, bytes));
                }
                f(tiles[i], workspace);
            }
        }
    });
}

}  // namespace fmgs::raster
