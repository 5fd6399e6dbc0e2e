/// Torch's side of the CUDA backend of fmgs::rasterize.
#include <fmgs/core/cuda/check.h>
#include <fmgs/raster/cuda/composite_kernels.h>
#include <fmgs/raster/cuda/rasterize_cuda.h>
#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace fmgs::raster {
namespace {

using torch::Tensor;

/// Everything of a call that both directions share: contiguous inputs, and the projected surfels.
template <class T>
struct DeviceCall {
    RasterizeInputs in;
    int64_t n, channels, routes;
    Tensor projected;
    TileLists lists{};
    c10::cuda::CUDAGuard guard;
    cudaStream_t stream;

    explicit DeviceCall(const RasterizeInputs& inputs)
        : in(inputs), guard(inputs.center.device()), stream(stream_of(inputs.center)) {
        n = in.center.size(1);
        routes = in.center.size(0);
        channels = in.features.size(1);
        if (in.tile_size % kCell != 0)
            throw Error(fmt::format(
                "rasterize: expected a tile size that is a multiple of {} on a GPU, got {}", kCell,
                in.tile_size));
        if (n > INT32_MAX || channels > INT32_MAX / 2 || routes > INT32_MAX / 32)
            throw Error(fmt::format("rasterize: {} surfels, {} channels and {} routes are too many",
                                    n, channels, routes));
        for (auto* x : {&in.center, &in.tangents, &in.opacity, &in.features, &in.intrinsics,
                        &in.offsets, &in.indices})
            *x = x->contiguous();
        lists = {in.offsets.template const_data_ptr<int32_t>(),
                 in.indices.template const_data_ptr<int32_t>(),
                 in.level.defined() ? in.level.template const_data_ptr<int32_t>() : nullptr,
                 in.indices.numel(),
                 static_cast<int32_t>(in.tile_size),
                 static_cast<int32_t>(in.width),
                 static_cast<int32_t>(in.height),
                 static_cast<int32_t>(n)};
        project();
    }
    const T* read(const Tensor& x) const { return x.template const_data_ptr<T>(); }
    const Projected<T>* surfels() const {
        return static_cast<const Projected<T>*>(projected.const_data_ptr());
    }

  private:
    void project() {
        projected = torch::empty({n * static_cast<int64_t>(sizeof(Projected<T>))},
                                 in.center.options().dtype(torch::kByte));
        ProjectParams<T> p{};
        p.center = read(in.center);
        p.tangents = read(in.tangents);
        p.opacity = read(in.opacity);
        p.features = read(in.features);
        p.intrinsics = read(in.intrinsics);
        p.n = n;
        p.channels = channels;
        p.near = static_cast<T>(in.near);
        p.low_pass = static_cast<T>(in.low_pass);
        p.width = lists.width;
        p.height = lists.height;
        p.surfels = static_cast<Projected<T>*>(projected.mutable_data_ptr());
        check_cuda(launch_project(p, stream), "rasterize: projection");
    }
};

/// What no surfels look like; nothing is launched.
RasterizeOutputs empty_picture(const RasterizeInputs& in) {
    const auto options = in.center.options();
    const auto nothing = torch::zeros({in.center.size(0), 1, in.height, in.width}, options);
    return {torch::zeros({in.features.size(1), in.height, in.width}, options), nothing,
            nothing.clone(), torch::ones({in.height, in.width}, options),
            torch::full({in.height, in.width}, -1, options.dtype(torch::kInt))};
}

template <class T>
RasterizeOutputs forward_on_device(const RasterizeInputs& in) {
    if (in.center.size(1) == 0) return empty_picture(in);
    const DeviceCall<T> call(in);
    const auto options = in.center.options();
    RasterizeOutputs out;
    out.image = torch::empty({call.channels, in.height, in.width}, options);
    auto alpha = torch::empty({1, 1, in.height, in.width}, options);
    auto depth = torch::empty_like(alpha);
    out.transmittance = torch::empty({in.height, in.width}, options);
    out.last = torch::empty({in.height, in.width}, options.dtype(torch::kInt));
    ForwardParams<T> p{};
    p.lists = call.lists;
    p.surfels = call.surfels();
    p.features = call.read(call.in.features);
    p.channels = static_cast<int32_t>(call.channels);
    p.image = out.image.template mutable_data_ptr<T>();
    p.alpha = alpha.template mutable_data_ptr<T>();
    p.depth = depth.template mutable_data_ptr<T>();
    p.transmittance = out.transmittance.template mutable_data_ptr<T>();
    p.last = out.last.template mutable_data_ptr<int32_t>();
    check_cuda(launch_forward(p, call.stream), "rasterize: forward");
    out.alpha = call.routes == 1 ? alpha : alpha.repeat({call.routes, 1, 1, 1});
    out.depth = call.routes == 1 ? depth : depth.repeat({call.routes, 1, 1, 1});
    return out;
}

/// Neighbours of the same route, as the passes of the backward want them.
std::vector<ChannelRun> runs_of(const int64_t* route, int64_t channels) {
    std::vector<ChannelRun> runs;
    for (int64_t c = 0; c < channels; ++c) {
        if (runs.empty() || runs.back().route != route[c])
            runs.push_back({static_cast<int32_t>(c), 0, static_cast<int32_t>(route[c])});
        ++runs.back().count;
    }
    return runs;
}

/// The runs that a pass over the routes [first, first + kPassRoutes) works on.
template <class T>
void set_runs(BackwardParams<T>& p, const std::vector<ChannelRun>& runs) {
    p.run_count = 0;
    for (ChannelRun run : runs) {
        const bool in_pass = run.route >= p.first_route && run.route < p.first_route + p.routes;
        if (!in_pass && !p.needs_features) continue;
        run.route = in_pass ? run.route - p.first_route : -1;
        p.runs[p.run_count++] = run;
    }
}

/// Gradients of no surfels.
RasterizeGradients empty_gradients(const RasterizeInputs& in) {
    return {torch::zeros_like(in.center), torch::zeros_like(in.tangents),
            torch::zeros_like(in.opacity), torch::zeros_like(in.features),
            torch::zeros_like(in.intrinsics)};
}

/// Cotangents in one piece, where they are defined, and what the backward passes write into.
template <class T>
struct BackwardMemory {
    Tensor image, alpha, depth, transmittance, last;
    Tensor slots;    ///< [capacity, kHalves, routes·kSums + channels]
    Tensor touched;  ///< [capacity, kHalves]
    bool needs_features;

    BackwardMemory(const DeviceCall<T>& call, const RasterizeCotangents& cotangents)
        : image(contiguous(cotangents.image)),
          alpha(contiguous(cotangents.alpha)),
          depth(contiguous(cotangents.depth)),
          transmittance(cotangents.transmittance.contiguous()),
          last(cotangents.last.contiguous()),
          needs_features(cotangents.needs_features && image.defined()) {
        const int64_t slot_size = call.routes * kSums + call.channels;
        if (slot_size > max_slot_size<T>())
            throw Error(fmt::format(
                "rasterize: {} channels and {} routes are too many for the backward on a GPU",
                call.channels, call.routes));
        const auto options = call.in.center.options();
        slots = torch::empty({call.lists.capacity, kHalves, slot_size}, options);
        touched = torch::zeros({call.lists.capacity, kHalves}, options.dtype(torch::kByte));
    }
    static Tensor contiguous(const Tensor& x) { return x.defined() ? x.contiguous() : x; }
};

/// Fills the slots, a few routes at a time.
template <class T>
void launch_passes(const DeviceCall<T>& call, const BackwardMemory<T>& memory,
                   const std::vector<ChannelRun>& runs) {
    BackwardParams<T> p{};
    p.lists = call.lists;
    p.surfels = call.surfels();
    p.features = call.read(call.in.features);
    p.grad_image = memory.image.defined() ? call.read(memory.image) : nullptr;
    p.transmittance = call.read(memory.transmittance);
    p.last = memory.last.template const_data_ptr<int32_t>();
    p.channels = static_cast<int32_t>(call.channels);
    p.all_routes = static_cast<int32_t>(call.routes);
    p.slots = memory.slots.template mutable_data_ptr<T>();
    p.touched = memory.touched.template mutable_data_ptr<uint8_t>();
    const int64_t pixels = call.in.width * call.in.height;
    for (int64_t first = 0; first < call.routes; first += kPassRoutes) {
        p.first_route = static_cast<int32_t>(first);
        p.routes = static_cast<int32_t>(std::min<int64_t>(call.routes - first, kPassRoutes));
        p.needs_features = memory.needs_features && first == 0;
        p.grad_alpha = memory.alpha.defined() ? call.read(memory.alpha) + first * pixels : nullptr;
        p.grad_depth = memory.depth.defined() ? call.read(memory.depth) + first * pixels : nullptr;
        set_runs(p, runs);
        if (first > 0) memory.touched.zero_();
        check_cuda(launch_backward(p, call.stream), "rasterize: backward");
    }
}

/// Adds the slots up.
template <class T>
RasterizeGradients launch_reduction(const DeviceCall<T>& call, const BackwardMemory<T>& memory) {
    RasterizeGradients out{torch::empty_like(call.in.center), torch::empty_like(call.in.tangents),
                           torch::empty_like(call.in.opacity), torch::empty_like(call.in.features),
                           Tensor()};
    const auto shares = torch::empty({call.n, 4}, call.in.center.options());
    ReduceParams<T> r{};
    r.lists = call.lists;
    r.center = call.read(call.in.center);
    r.tangents = call.read(call.in.tangents);
    r.opacity = call.read(call.in.opacity);
    r.intrinsics = call.read(call.in.intrinsics);
    r.surfels = call.surfels();
    r.slots = call.read(memory.slots);
    r.touched = memory.touched.template const_data_ptr<uint8_t>();
    r.channels = static_cast<int32_t>(call.channels);
    r.routes = static_cast<int32_t>(call.routes);
    r.needs_features = memory.needs_features;
    r.grad_center = out.center.template mutable_data_ptr<T>();
    r.grad_tangents = out.tangents.template mutable_data_ptr<T>();
    r.grad_opacity = out.opacity.template mutable_data_ptr<T>();
    r.grad_features = out.features.template mutable_data_ptr<T>();
    r.grad_intrinsics = shares.template mutable_data_ptr<T>();
    check_cuda(launch_reduce(r, call.stream), "rasterize: reduction");
    out.intrinsics = shares.sum(0);
    return out;
}

template <class T>
RasterizeGradients backward_on_device(const RasterizeInputs& in,
                                      const RasterizeCotangents& cotangents);

/// Routes that change from channel to channel: puts those of a route beside each other.
template <class T>
RasterizeGradients backward_by_route(const RasterizeInputs& in,
                                     const RasterizeCotangents& cotangents, const Tensor& route) {
    const auto order = route.argsort(/*stable=*/true, 0, false);
    const auto device = order.to(in.center.device());
    auto sorted = in;
    sorted.features = in.features.index_select(1, device);
    sorted.channel_route = route.index_select(0, order);
    auto moved = cotangents;
    moved.image = cotangents.image.index_select(0, device);
    if (runs_of(sorted.channel_route.const_data_ptr<int64_t>(), route.numel()).size() > kMaxRuns)
        throw Error(
            fmt::format("rasterize: at most {} routes have channels on a GPU, got more", kMaxRuns));
    auto out = backward_on_device<T>(sorted, moved);
    out.features = torch::empty_like(out.features).index_copy_(1, device, out.features);
    return out;
}

template <class T>
RasterizeGradients backward_on_device(const RasterizeInputs& in,
                                      const RasterizeCotangents& cotangents) {
    if (in.center.size(1) == 0) return empty_gradients(in);
    const auto route = in.channel_route.contiguous();
    const auto runs = cotangents.image.defined()
                          ? runs_of(route.const_data_ptr<int64_t>(), route.numel())
                          : std::vector<ChannelRun>{};
    if (runs.size() > kMaxRuns) return backward_by_route<T>(in, cotangents, route);
    const DeviceCall<T> call(in);
    const BackwardMemory<T> memory(call, cotangents);
    launch_passes(call, memory, runs);
    return launch_reduction(call, memory);
}

void check_float(const Tensor& center) {
    if (center.scalar_type() != torch::kFloat)
        throw Error(fmt::format("rasterize: expected float on a GPU, got {}",
                                toString(center.scalar_type())));
}

}  // namespace

RasterizeOutputs rasterize_cuda(const RasterizeInputs& in) {
    check_float(in.center);
    return forward_on_device<float>(in);
}

RasterizeGradients rasterize_cuda_backward(const RasterizeInputs& in,
                                           const RasterizeCotangents& cotangents) {
    check_float(in.center);
    return backward_on_device<float>(in, cotangents);
}

}  // namespace fmgs::raster
