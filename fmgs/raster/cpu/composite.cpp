/// The CPU backend of fmgs::rasterize: projects, hands tiles to threads, and adds up gradients in a
/// fixed order.

#include <fmgs/raster/cpu/composite.h>

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/raster/rasterize_op.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <vector>

namespace fmgs::raster {

InstructionSet best_instruction_set() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        return InstructionSet::avx512;
    if (avx2) return InstructionSet::avx2;
#endif
    return InstructionSet::portable;
}

TileBackend tile_backend(InstructionSet set) {
#if defined(__x86_64__)
    if (set == InstructionSet::avx512)
        return {avx512::functions_float(), avx512::functions_double()};
    if (set == InstructionSet::avx2) return {avx2::functions_float(), avx2::functions_double()};
#endif
    static_cast<void>(set);
    return {portable::functions_float(), portable::functions_double()};
}

int64_t workspace_size(int64_t size, int64_t channels, int64_t routes) {
    constexpr int64_t kMaxLanes = 16, kParts = 19, kPadding = 2 * kCacheLine / sizeof(float);
    const int64_t row = channels + (routes + 1) * kMaxLanes,
                  pixels = (size + 1) * (size + 7);  // whole blocks
    return (4 + 2 * routes + row) * pixels + 3 * row + 2 * (routes + 2) +
           (6 + 3 * routes) * (pixels + kMaxLanes) + kParts * kPadding;
}

namespace {

template <class T>
TileFunctions<T> functions_of(const TileBackend& backend) {
    if constexpr (std::is_same_v<T, float>) {
        return backend.single;
    } else {
        return backend.twofold;
    }
}

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
    const T *center, *tangents, *opacity;
    int64_t n, channels, routes, across;
    std::unique_ptr<Projected<T>[]> surfels;
    std::vector<int32_t> channel, begin;
    TileFunctions<T> functions;

    Call(const RasterizeInputs& inputs, const TileBackend& backend);
    Surfel<T> surfel(int64_t i) const {
        const T *p = center + 3 * i, *t = tangents + 6 * i;
        return {{p[0], p[1], p[2]}, {t[0], t[2], t[4]}, {t[1], t[3], t[5]}, opacity[i]};
    }
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
    center = in.center.const_data_ptr<T>();
    tangents = in.tangents.const_data_ptr<T>();
    opacity = in.opacity.const_data_ptr<T>();

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
    const T* k = in.intrinsics.const_data_ptr<T>();
    at::parallel_for(0, n, 2048, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) {
            auto& s = surfels[static_cast<size_t>(i)];
            if (!project(surfel(i), k, static_cast<T>(in.near), static_cast<T>(in.low_pass),
                         in.width, in.height, s))
                continue;
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

template <class T>
std::vector<int64_t> filled_tiles(const Call<T>& call) {
    const int32_t* offsets = call.in.offsets.template const_data_ptr<int32_t>();
    std::vector<int64_t> tiles;
    for (int64_t i = 0; i + 1 < call.in.offsets.numel(); ++i) {
        if (offsets[i + 1] > offsets[i]) tiles.push_back(i);
    }
    return tiles;
}

/// What a tile without surfels looks like.
template <class T>
void clear(const ForwardTile<T>& t) {
    const int64_t w = t.x1 - t.x0;
    for (int64_t y = t.y0; y < t.y1; ++y) {
        const int64_t at = y * t.width + t.x0;
        for (int64_t k = 0; k < t.channels; ++k)
            std::fill_n(t.image + k * t.width * t.height + at, w, T(0));
        std::fill_n(t.alpha + at, w, T(0));
        std::fill_n(t.depth + at, w, T(0));
        std::fill_n(t.transmittance + at, w, T(1));
        std::fill_n(t.last + at, w, -1);
    }
}

template <class T>
RasterizeOutputs forward(const RasterizeInputs& in, const TileBackend& backend) {
    const Call<T> call(in, backend);
    const auto options = in.center.options();
    RasterizeOutputs out;
    out.image = torch::empty({call.channels, in.height, in.width}, options);
    auto alpha = torch::empty({1, 1, in.height, in.width}, options);
    auto depth = torch::empty({1, 1, in.height, in.width}, options);
    out.transmittance = torch::empty({in.height, in.width}, options);
    out.last = torch::empty({in.height, in.width}, options.dtype(torch::kInt));
    T *image = out.image.template data_ptr<T>(), *a = alpha.template data_ptr<T>(),
      *d = depth.template data_ptr<T>();
    T* transmittance = out.transmittance.template data_ptr<T>();
    int32_t* last = out.last.template data_ptr<int32_t>();
    std::vector<int64_t> tiles(static_cast<size_t>(call.in.offsets.numel() - 1));
    std::iota(tiles.begin(), tiles.end(), 0);
    call.for_tiles(std::move(tiles), [&](int64_t index, T* workspace) {
        ForwardTile<T> tile;
        call.set_tile(tile, index);
        tile.image = image;
        tile.alpha = a;
        tile.depth = d;
        tile.transmittance = transmittance;
        tile.last = last;
        tile.workspace = workspace;
        if (tile.count > 0)
            call.functions.forward(tile);
        else
            clear(tile);
    });
    out.alpha = call.routes == 1 ? alpha : alpha.repeat({call.routes, 1, 1, 1});
    out.depth = call.routes == 1 ? depth : depth.repeat({call.routes, 1, 1, 1});
    return out;
}

/// Positions at which each surfel stands in the tiles' lists, in order: [offsets [N+1], positions
/// [P]].
std::pair<std::vector<int32_t>, std::vector<int32_t>> invert(const int32_t* indices,
                                                             int64_t intersections, int64_t n) {
    std::vector<int32_t> start(static_cast<size_t>(n + 1), 0),
        position(static_cast<size_t>(intersections));
    for (int64_t i = 0; i < intersections; ++i) ++start[static_cast<size_t>(indices[i]) + 1];
    std::partial_sum(start.begin(), start.end(), start.begin());
    std::vector<int32_t> next(start.begin(), start.end() - 1);
    for (int64_t i = 0; i < intersections; ++i)
        position[static_cast<size_t>(next[static_cast<size_t>(indices[i])]++)] =
            static_cast<int32_t>(i);
    return {std::move(start), std::move(position)};
}

/// Adds up the slots of every surfel in the order of the tiles and turns the sums into gradients.
template <class T>
RasterizeGradients reduce(const Call<T>& call, const T* slots, const uint8_t* touched,
                          bool needs_features) {
    const auto& in = call.in;
    const auto inverse =
        invert(in.indices.template const_data_ptr<int32_t>(), in.indices.numel(), call.n);
    const int32_t *start = inverse.first.data(), *position = inverse.second.data();
    RasterizeGradients out{
        torch::empty_like(in.center), torch::empty_like(in.tangents), torch::empty_like(in.opacity),
        needs_features ? torch::empty_like(in.features) : torch::Tensor(), torch::Tensor()};
    T *center = out.center.template data_ptr<T>(), *tangents = out.tangents.template data_ptr<T>();
    T* opacity = out.opacity.template data_ptr<T>();
    T* features = needs_features ? out.features.template data_ptr<T>() : nullptr;
    const int64_t sums_size = call.routes * kSums, size = sums_size + call.channels;
    const int64_t used = needs_features ? size : sums_size;
    // Chunks do not depend on the number of threads, and so neither does the order of any sum.
    constexpr int64_t kChunk = 1024, kAhead = 8;
    const int64_t chunks = (call.n + kChunk - 1) / kChunk;
    std::vector<std::array<T, 4>> partial(static_cast<size_t>(chunks), std::array<T, 4>{});
    at::parallel_for(0, chunks, 1, [&](int64_t first, int64_t last) {
        std::vector<T> sum(static_cast<size_t>(size));
        std::array<T, 4> k{};
        std::copy_n(in.intrinsics.template const_data_ptr<T>(), 4, k.begin());
        const int64_t end = std::min(last * kChunk, call.n);
        for (int64_t i = first * kChunk; i < end; ++i) {
            auto& intrinsics = partial[static_cast<size_t>(i / kChunk)];
            // The slots of a surfel lie anywhere: asked for some time before they are read.
            const int64_t next = std::min(i + kAhead, end);
            for (int32_t j = start[next]; next < end && j < start[next + 1]; ++j) {
                for (int64_t c = 0; c < used; c += kCacheLine / static_cast<int64_t>(sizeof(T)))
                    __builtin_prefetch(slots + position[j] * size + c);
            }
            bool any = false;
            for (int32_t j = start[i]; j < start[i + 1]; ++j) {
                if (!touched[position[j]]) continue;
                const T* slot = slots + position[j] * size;
                if (!any) {
                    std::copy(slot, slot + used, sum.begin());
                } else {
                    for (int64_t c = 0; c < used; ++c) sum[static_cast<size_t>(c)] += slot[c];
                }
                any = true;
            }
            if (!any) std::fill_n(sum.begin(), used, T(0));
            // Copies: what the routes share is then seen not to change while gradients are written.
            const Surfel<T> surfel = call.surfel(i);
            const Projected<T> projected = call.surfels[static_cast<size_t>(i)];
            for (int64_t r = 0; r < call.routes; ++r) {
                Surfel<T> g{};
                if (any)
                    project_vjp(surfel, k.data(), projected, sum.data() + r * kSums, g,
                                intrinsics.data());
                const int64_t row = r * call.n + i;
                opacity[row] = g.opacity;
                for (int64_t c = 0; c < 3; ++c) {
                    center[3 * row + c] = g.p[c];
                    tangents[6 * row + 2 * c] = g.a[c];
                    tangents[6 * row + 2 * c + 1] = g.b[c];
                }
            }
            for (int64_t c = 0; needs_features && c < call.channels; ++c)
                features[i * call.channels + call.channel[static_cast<size_t>(c)]] =
                    sum[static_cast<size_t>(sums_size + c)];
        }
    });
    std::array<T, 4> total{};
    for (const auto& part : partial) {
        for (size_t c = 0; c < 4; ++c) total[c] += part[c];
    }
    out.intrinsics = torch::empty({4}, in.intrinsics.options());
    std::copy(total.begin(), total.end(), out.intrinsics.template data_ptr<T>());
    return out;
}

/// One pointer per leading index of x [K,…,H,W]; null where x is undefined or all zero.
template <class T>
std::vector<const T*> planes(const torch::Tensor& x, int64_t count, int64_t pixels) {
    std::vector<const T*> out(static_cast<size_t>(count), nullptr);
    if (!x.defined()) return out;
    const T* data = x.const_data_ptr<T>();
    at::parallel_for(0, count, 1, [&](int64_t first, int64_t last) {
        for (; first < last; ++first) {
            const T* plane = data + first * pixels;
            if (std::any_of(plane, plane + pixels, [](T v) { return v != 0; }))
                out[static_cast<size_t>(first)] = plane;
        }
    });
    return out;
}

template <class T>
RasterizeGradients backward(const RasterizeInputs& in, const RasterizeCotangents& cotangents,
                            const TileBackend& backend) {
    const Call<T> call(in, backend);
    const int64_t pixels = in.width * in.height;
    const auto contiguous = [](const torch::Tensor& x) { return x.defined() ? x.contiguous() : x; };
    const auto g_image = contiguous(cotangents.image), g_alpha = contiguous(cotangents.alpha),
               g_depth = contiguous(cotangents.depth);
    const auto unordered = planes<T>(g_image, call.channels, pixels);
    std::vector<const T*> image;
    for (const int32_t c : call.channel) image.push_back(unordered[static_cast<size_t>(c)]);
    const auto alpha = planes<T>(g_alpha, call.routes, pixels),
               depth = planes<T>(g_depth, call.routes, pixels);
    const auto final = cotangents.transmittance.contiguous(), last = cotangents.last.contiguous();

    const int64_t intersections = in.indices.numel(), slot = call.routes * kSums + call.channels;
    const std::unique_ptr<T[]> slots(new T[static_cast<size_t>(intersections * slot)]);
    const std::unique_ptr<uint8_t[]> touched(new uint8_t[static_cast<size_t>(intersections)]());
    const int32_t* offsets = call.in.offsets.template const_data_ptr<int32_t>();
    const bool needs_features = cotangents.needs_features && g_image.defined();
    call.for_tiles(filled_tiles(call), [&](int64_t index, T* workspace) {
        BackwardTile<T> tile;
        call.set_tile(tile, index);
        // The tile functions only read these two in the backward pass.
        tile.transmittance = const_cast<T*>(final.template const_data_ptr<T>());
        tile.last = const_cast<int32_t*>(last.template const_data_ptr<int32_t>());
        tile.workspace = workspace;
        tile.grad_image = image.data();
        tile.grad_alpha = alpha.data();
        tile.grad_depth = depth.data();
        tile.needs_features = needs_features;
        tile.slots = slots.get() + offsets[index] * slot;
        tile.touched = touched.get() + offsets[index];
        call.functions.backward(tile);
    });
    auto out = reduce(call, slots.get(), touched.get(), needs_features);
    if (!out.features.defined()) out.features = torch::zeros_like(in.features);
    return out;
}

}  // namespace

RasterizeOutputs rasterize_cpu(const RasterizeInputs& in, const TileBackend& backend) {
    RasterizeOutputs out;
    AT_DISPATCH_FLOATING_TYPES(in.center.scalar_type(), "rasterize",
                               [&] { out = forward<scalar_t>(in, backend); });
    return out;
}

RasterizeGradients rasterize_cpu_backward(const RasterizeInputs& in,
                                          const RasterizeCotangents& cotangents,
                                          const TileBackend& backend) {
    RasterizeGradients out;
    AT_DISPATCH_FLOATING_TYPES(in.center.scalar_type(), "rasterize_backward",
                               [&] { out = backward<scalar_t>(in, cotangents, backend); });
    return out;
}

}  // namespace fmgs::raster
