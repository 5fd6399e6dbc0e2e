#include <fmgs/raster/cpu/rasterize_cpu.h>

#include <ATen/Dispatch.h>
#include <fmgs/raster/cpu/call.h>
#include <fmgs/raster/cpu/reduce.h>
#include <torch/library.h>

namespace fmgs::raster {
namespace {

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

    const SlotPlaces places(call);
    const int64_t count = places.start.back(), slot = call.routes * kSums + call.channels;
    constexpr int64_t kPack = kCacheLine / static_cast<int64_t>(sizeof(T));  // read behind the last
    const std::unique_ptr<T[]> slots(new T[static_cast<size_t>(count * slot + kPack)]);
    const std::unique_ptr<uint8_t[]> touched(new uint8_t[static_cast<size_t>(count)]());
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
        tile.column = index % call.across;
        tile.row = index / call.across;
        tile.places = places.places.data();
        tile.slots = slots.get();
        tile.touched = touched.get();
        call.functions.backward(tile);
    });
    return reduce(call, places, slots.get(), touched.get(), needs_features);
}

/// The operator takes the best.
RasterizeOutputs best_cpu(const RasterizeInputs& in) { return rasterize_cpu(in); }
RasterizeGradients best_cpu_backward(const RasterizeInputs& in,
                                     const RasterizeCotangents& cotangents) {
    return rasterize_cpu_backward(in, cotangents);
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

TORCH_LIBRARY_IMPL(fmgs, CPU, m) {
    using namespace fmgs::raster;
    m.impl("rasterize", rasterize_kernel<&best_cpu>);
    m.impl("_rasterize_backward", rasterize_backward_kernel<&best_cpu_backward>);
}
