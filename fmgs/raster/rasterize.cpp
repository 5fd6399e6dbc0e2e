
#include <fmgs/raster/rasterize.h>

#include <ATen/core/dispatch/Dispatcher.h>
#include <fmgs/core/check.h>
#include <fmgs/raster/rasterize_op.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <cmath>

namespace fmgs {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using OptionalTensor = std::optional<Tensor>;

void check_same(const Tensor& x, const Tensor& like, const char* name) {
    if (x.scalar_type() != like.scalar_type() || x.device() != like.device())
        throw Error(fmt::format("rasterize: {}: expected {} on {} as center, got {} on {}", name,
                                toString(like.scalar_type()), like.device().str(),
                                toString(x.scalar_type()), x.device().str()));
}

void check_index(const Tensor& x, torch::ScalarType type, const Tensor& center, const char* name) {
    if (x.scalar_type() != type || x.device() != center.device())
        throw Error(fmt::format("rasterize: {}: expected {} on {}, got {} on {}", name,
                                toString(type), center.device().str(), toString(x.scalar_type()),
                                x.device().str()));
}

/// Offsets must rise from 0 to the number of indices, and indices must name surfels: both are used
/// as addresses.
void check_tiles(const raster::RasterizeInputs& in) {
    if (in.width < 1 || in.height < 1 || in.tile_size < 1 || in.tile_size > 64)
        throw Error(fmt::format(
            "rasterize: expected a size of at least 1 x 1 pixels and tiles of 1 to 64, got {} x {} "
            "and {}",
            in.width, in.height, in.tile_size));
    const auto tiles = [&](int64_t n) { return (n + in.tile_size - 1) / in.tile_size; };
    check_shape(in.offsets, {tiles(in.width) * tiles(in.height) + 1}, "rasterize: tiles.offsets");
    check_shape(in.indices, {-1}, "rasterize: tiles.indices");
    check_index(in.offsets, torch::kInt, in.center, "tiles.offsets");
    check_index(in.indices, torch::kInt, in.center, "tiles.indices");
    if (in.indices.numel() > INT32_MAX)
        throw Error(fmt::format("rasterize: tiles.indices: at most {} fit", INT32_MAX));
    if (in.level.defined()) {
        check_shape(in.level, {1}, "rasterize: tiles.level");
        check_index(in.level, torch::kInt, in.center, "tiles.level");
    }
    if (!in.center.is_cpu())
        return;  // a device backend checks in its kernels rather than wait for a copy
    if (in.level.defined() && in.level.const_data_ptr<int32_t>()[0] != 0)
        throw Error(fmt::format("rasterize: tiles.level: expected none or 0 on the CPU, got {}",
                                in.level.const_data_ptr<int32_t>()[0]));
    const auto offsets = in.offsets.contiguous(), indices = in.indices.contiguous();
    const int32_t *o = offsets.const_data_ptr<int32_t>(), *p = indices.const_data_ptr<int32_t>();
    bool rising = o[0] == 0 && o[offsets.numel() - 1] == indices.numel();
    for (int64_t i = 0; i + 1 < offsets.numel(); ++i) rising = rising && o[i] <= o[i + 1];
    if (!rising)
        throw Error(fmt::format(
            "rasterize: tiles.offsets: expected values rising from 0 to {}; use find_tiles",
            indices.numel()));
    const int64_t n = in.center.size(1);
    for (int64_t i = 0; i < indices.numel(); ++i) {
        if (p[i] < 0 || p[i] >= n)
            throw Error(fmt::format(
                "rasterize: tiles.indices[{}]: expected a surfel in [0,{}), got {}; find_tiles was "
                "given other surfels?",
                i, n, p[i]));
    }
}

void check_inputs(const raster::RasterizeInputs& in) {
    if (!in.center.defined() || in.center.dim() != 3)
        throw Error(fmt::format(
            "rasterize: center: expected [R,N,3], got {}",
            in.center.defined() ? shape_text(in.center.sizes()) : "an undefined tensor"));
    const int64_t routes = in.center.size(0), n = in.center.size(1);
    if (routes < 1)
        throw Error(fmt::format("rasterize: center: expected at least one route, got {}",
                                shape_text(in.center.sizes())));
    check_shape(in.center, {routes, n, 3}, "rasterize: center");
    check_shape(in.tangents, {routes, n, 3, 2}, "rasterize: tangents");
    check_shape(in.opacity, {routes, n, 1}, "rasterize: opacity");
    check_shape(in.features, {n, -1}, "rasterize: features");
    check_shape(in.channel_route, {in.features.size(1)}, "rasterize: channel_route");
    check_shape(in.intrinsics, {4}, "rasterize: intrinsics");
    if (in.center.scalar_type() != torch::kFloat && in.center.scalar_type() != torch::kDouble)
        throw Error(fmt::format("rasterize: center: expected float or double, got {}",
                                toString(in.center.scalar_type())));
    check_same(in.tangents, in.center, "tangents");
    check_same(in.opacity, in.center, "opacity");
    check_same(in.features, in.center, "features");
    check_same(in.intrinsics, in.center, "intrinsics");
    if (in.channel_route.scalar_type() != torch::kLong || !in.channel_route.is_cpu())
        throw Error(fmt::format("rasterize: channel_route: expected int64 on cpu, got {} on {}",
                                toString(in.channel_route.scalar_type()),
                                in.channel_route.device().str()));
    const auto route = in.channel_route.contiguous();
    for (int64_t k = 0; k < route.numel(); ++k) {
        const int64_t r = route.const_data_ptr<int64_t>()[k];
        if (r < -1 || r >= routes)
            throw Error(fmt::format(
                "rasterize: channel_route[{}]: expected a route in [0,{}) or -1, got {}", k, routes,
                r));
    }
    if (!(in.near >= 0)) throw Error(fmt::format("rasterize: expected near >= 0, got {}", in.near));
    if (!(in.low_pass > 0) || !std::isfinite(in.low_pass))
        throw Error(fmt::format("rasterize: low_pass: expected a positive number of pixels, got {}",
                                in.low_pass));
    check_tiles(in);
}

using Forward = raster::RasterizeOutputs (*)(const raster::RasterizeInputs&);
using Backward = raster::RasterizeGradients (*)(const raster::RasterizeInputs&,
                                                const raster::RasterizeCotangents&);

raster::RasterizeOutputs best_cpu(const raster::RasterizeInputs& in) {
    return raster::rasterize_cpu(in);
}
raster::RasterizeGradients best_cpu_backward(const raster::RasterizeInputs& in,
                                             const raster::RasterizeCotangents& cotangents) {
    return raster::rasterize_cpu_backward(in, cotangents);
}

template <Forward kBackend>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> forward_on(
    const Tensor& center, const Tensor& tangents, const Tensor& opacity, const Tensor& features,
    const Tensor& channel_route, const Tensor& intrinsics, const Tensor& offsets,
    const Tensor& indices, const OptionalTensor& level, int64_t width, int64_t height,
    int64_t tile_size, double near, double low_pass) {
    const raster::RasterizeInputs in{
        center,  tangents, opacity, features,  channel_route, intrinsics, offsets,
        indices, width,    height,  tile_size, near,          low_pass,   level.value_or(Tensor())};
    check_inputs(in);
    auto out = kBackend(in);
    return {out.image, out.alpha, out.depth, out.transmittance, out.last};
}

template <Backward kBackend>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> backward_on(
    const OptionalTensor& grad_image, const OptionalTensor& grad_alpha,
    const OptionalTensor& grad_depth, const Tensor& center, const Tensor& tangents,
    const Tensor& opacity, const Tensor& features, const Tensor& channel_route,
    const Tensor& intrinsics, const Tensor& offsets, const Tensor& indices,
    const OptionalTensor& level, const Tensor& transmittance, const Tensor& last, int64_t tile_size,
    double near, double low_pass, bool needs_features) {
    check_shape(last, {-1, -1}, "rasterize: last");
    const int64_t height = last.size(0), width = last.size(1);
    const raster::RasterizeInputs in{
        center,  tangents, opacity, features,  channel_route, intrinsics, offsets,
        indices, width,    height,  tile_size, near,          low_pass,   level.value_or(Tensor())};
    check_inputs(in);
    check_shape(transmittance, {height, width}, "rasterize: transmittance");
    check_same(transmittance, center, "transmittance");
    check_index(last, torch::kInt, center, "last");
    const int64_t routes = center.size(0);
    const auto cotangent = [&](const OptionalTensor& g, std::initializer_list<int64_t> shape,
                               const char* name) {
        if (!g || !g->defined()) return Tensor();
        check_shape(*g, shape, name);
        check_same(*g, center, name);
        return *g;
    };
    const raster::RasterizeCotangents cotangents{
        cotangent(grad_image, {features.size(1), height, width}, "rasterize: gradient of image"),
        cotangent(grad_alpha, {routes, 1, height, width}, "rasterize: gradient of alpha"),
        cotangent(grad_depth, {routes, 1, height, width}, "rasterize: gradient of depth"),
        transmittance,
        last,
        needs_features};
    auto out = kBackend(in, cotangents);
    return {out.center, out.tangents, out.opacity, out.features, out.intrinsics};
}

auto forward_op() {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("fmgs::rasterize", "")
                               .typed<decltype(forward_on<&best_cpu>)>();
    return op;
}

auto backward_op() {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("fmgs::_rasterize_backward", "")
                               .typed<decltype(backward_on<&best_cpu_backward>)>();
    return op;
}

/// The backward pass as a node of its own, so that differentiating through it is an error and not
/// silently zero.
struct RasterizeBackward : torch::autograd::Function<RasterizeBackward> {
    static variable_list forward(AutogradContext*, const OptionalTensor& grad_image,
                                 const OptionalTensor& grad_alpha, const OptionalTensor& grad_depth,
                                 const Tensor& center, const Tensor& tangents,
                                 const Tensor& opacity, const Tensor& features,
                                 const Tensor& channel_route, const Tensor& intrinsics,
                                 const Tensor& offsets, const Tensor& indices,
                                 const OptionalTensor& level, const Tensor& transmittance,
                                 const Tensor& last, int64_t tile_size, double near,
                                 double low_pass, bool needs_features) {
        at::AutoDispatchBelowADInplaceOrView below;
        auto [c, t, o, f, k] =
            backward_op().call(grad_image, grad_alpha, grad_depth, center, tangents, opacity,
                               features, channel_route, intrinsics, offsets, indices, level,
                               transmittance, last, tile_size, near, low_pass, needs_features);
        return {c, t, o, f, k};
    }
    static variable_list backward(AutogradContext*, const variable_list&) {
        throw Error(
            "rasterize: it has no second derivative; do not differentiate its gradient "
            "(create_graph)");
    }
};

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> backward_autograd(
    const OptionalTensor& grad_image, const OptionalTensor& grad_alpha,
    const OptionalTensor& grad_depth, const Tensor& center, const Tensor& tangents,
    const Tensor& opacity, const Tensor& features, const Tensor& channel_route,
    const Tensor& intrinsics, const Tensor& offsets, const Tensor& indices,
    const OptionalTensor& level, const Tensor& transmittance, const Tensor& last, int64_t tile_size,
    double near, double low_pass, bool needs_features) {
    auto g =
        RasterizeBackward::apply(grad_image, grad_alpha, grad_depth, center, tangents, opacity,
                                 features, channel_route, intrinsics, offsets, indices, level,
                                 transmittance, last, tile_size, near, low_pass, needs_features);
    return {g[0], g[1], g[2], g[3], g[4]};
}

struct Rasterize : torch::autograd::Function<Rasterize> {
    static variable_list forward(AutogradContext* ctx, const Tensor& center, const Tensor& tangents,
                                 const Tensor& opacity, const Tensor& features,
                                 const Tensor& channel_route, const Tensor& intrinsics,
                                 const Tensor& offsets, const Tensor& indices,
                                 const OptionalTensor& level, int64_t width, int64_t height,
                                 int64_t tile_size, double near, double low_pass) {
        at::AutoDispatchBelowADInplaceOrView below;
        auto [image, alpha, depth, transmittance, last] =
            forward_op().call(center, tangents, opacity, features, channel_route, intrinsics,
                              offsets, indices, level, width, height, tile_size, near, low_pass);
        ctx->set_materialize_grads(false);
        ctx->mark_non_differentiable({transmittance, last});
        ctx->save_for_backward({center, tangents, opacity, features, channel_route, intrinsics,
                                offsets, indices, transmittance, last, level.value_or(Tensor())});
        ctx->saved_data["tile_size"] = tile_size;
        ctx->saved_data["near"] = near;
        ctx->saved_data["low_pass"] = low_pass;
        ctx->saved_data["needs_features"] = features.requires_grad();
        return {image, alpha, depth, transmittance, last};
    }

    static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
        variable_list out(14);
        if (!grads[0].defined() && !grads[1].defined() && !grads[2].defined()) return out;
        const auto s = ctx->get_saved_variables();
        std::tie(out[0], out[1], out[2], out[3], out[5]) = backward_op().call(
            grads[0], grads[1], grads[2], s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7],
            s[10].defined() ? OptionalTensor(s[10]) : std::nullopt, s[8], s[9],
            ctx->saved_data["tile_size"].toInt(), ctx->saved_data["near"].toDouble(),
            ctx->saved_data["low_pass"].toDouble(), ctx->saved_data["needs_features"].toBool());
        return out;
    }
};

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> forward_autograd(
    const Tensor& center, const Tensor& tangents, const Tensor& opacity, const Tensor& features,
    const Tensor& channel_route, const Tensor& intrinsics, const Tensor& offsets,
    const Tensor& indices, const OptionalTensor& level, int64_t width, int64_t height,
    int64_t tile_size, double near, double low_pass) {
    auto out = Rasterize::apply(center, tangents, opacity, features, channel_route, intrinsics,
                                offsets, indices, level, width, height, tile_size, near, low_pass);
    return {out[0], out[1], out[2], out[3], out[4]};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(fmgs, m) {
    m.def(
        "rasterize(Tensor center, Tensor tangents, Tensor opacity, Tensor features, Tensor "
        "channel_route, Tensor intrinsics, "
        "Tensor tile_offsets, Tensor tile_indices, Tensor? tile_level, int width, int height, int "
        "tile_size, float "
        "near, float low_pass) -> "
        "(Tensor image, Tensor alpha, Tensor depth, Tensor transmittance, Tensor last)");
    m.def(
        "_rasterize_backward(Tensor? grad_image, Tensor? grad_alpha, Tensor? grad_depth, Tensor "
        "center, Tensor tangents, "
        "Tensor opacity, Tensor features, Tensor channel_route, Tensor intrinsics, Tensor "
        "tile_offsets, Tensor tile_indices, Tensor? tile_level, "
        "Tensor transmittance, Tensor last, int tile_size, float near, float low_pass, bool "
        "needs_features) -> "
        "(Tensor center, Tensor tangents, Tensor opacity, Tensor features, Tensor intrinsics)");
}
TORCH_LIBRARY_IMPL(fmgs, CPU, m) {
    m.impl("rasterize", forward_on<&best_cpu>);
    m.impl("_rasterize_backward", backward_on<&best_cpu_backward>);
}
#if defined(FMGS_CUDA)
TORCH_LIBRARY_IMPL(fmgs, CUDA, m) {
    m.impl("rasterize", forward_on<&raster::rasterize_cuda>);
    m.impl("_rasterize_backward", backward_on<&raster::rasterize_cuda_backward>);
}
#endif
TORCH_LIBRARY_IMPL(fmgs, Autograd, m) {
    m.impl("rasterize", forward_autograd);
    m.impl("_rasterize_backward", backward_autograd);
}

Raster rasterize(const Tensor& center, const Tensor& tangents, const Tensor& opacity,
                 const Tensor& features, const Tensor& channel_route, const Tensor& intrinsics,
                 const Tiles& tiles) {
    for (const auto& [x, name] : {std::pair{center, "center"},
                                  {tangents, "tangents"},
                                  {opacity, "opacity"},
                                  {features, "features"},
                                  {channel_route, "channel_route"},
                                  {intrinsics, "intrinsics"},
                                  {tiles.offsets, "tiles.offsets"},
                                  {tiles.indices, "tiles.indices"}}) {
        if (!x.defined())
            throw Error(
                fmt::format("rasterize: {}: expected a tensor, got an undefined one", name));
    }
    check_device(center.device(), "rasterize");
    auto [image, alpha, depth, transmittance, last] = forward_op().call(
        center, tangents, opacity, features, channel_route, intrinsics, tiles.offsets,
        tiles.indices, tiles.level.defined() ? OptionalTensor(tiles.level) : std::nullopt,
        tiles.width, tiles.height, tiles.size, tiles.near, tiles.low_pass);
    return {image, alpha, depth};
}

}  // namespace fmgs
