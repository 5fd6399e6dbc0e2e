/// The rasterizer's operators under autograd.
#include <fmgs/core/operators.h>
#include <fmgs/raster/rasterize_op.h>
#include <fmgs/raster/tiles_op.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace fmgs::raster {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

auto forward_op() {
    static const auto op = detail::find_operator<RasterizeSignature>("fmgs::rasterize");
    return op;
}

auto backward_op() {
    static const auto op =
        detail::find_operator<RasterizeBackwardSignature>("fmgs::_rasterize_backward");
    return op;
}

struct Rasterize : torch::autograd::Function<Rasterize> {
    static variable_list forward(AutogradContext* ctx, const Tensor& center, const Tensor& tangents,
                                 const Tensor& opacity, const Tensor& features,
                                 const Tensor& channel_route, const Tensor& intrinsics,
                                 const Tensor& offsets, const Tensor& indices,
                                 const OptionalTensor& level, c10::SymInt width, c10::SymInt height,
                                 int64_t tile_size, double near, double low_pass) {
        at::AutoDispatchBelowADInplaceOrView below;
        auto [image, alpha, depth, transmittance, last] = forward_op().call(
            center, tangents, opacity, features, channel_route, intrinsics, offsets, indices, level,
            std::move(width), std::move(height), tile_size, near, low_pass);
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

FiveTensors rasterize_autograd(const Tensor& center, const Tensor& tangents, const Tensor& opacity,
                               const Tensor& features, const Tensor& channel_route,
                               const Tensor& intrinsics, const Tensor& offsets,
                               const Tensor& indices, const OptionalTensor& level,
                               c10::SymInt width, c10::SymInt height, int64_t tile_size,
                               double near, double low_pass) {
    auto out = Rasterize::apply(center, tangents, opacity, features, channel_route, intrinsics,
                                offsets, indices, level, std::move(width), std::move(height),
                                tile_size, near, low_pass);
    return {out[0], out[1], out[2], out[3], out[4]};
}

FiveTensors rasterize_backward_autograd(
    const OptionalTensor& grad_image, const OptionalTensor& grad_alpha,
    const OptionalTensor& grad_depth, const Tensor& center, const Tensor& tangents,
    const Tensor& opacity, const Tensor& features, const Tensor& channel_route,
    const Tensor& intrinsics, const Tensor& offsets, const Tensor& indices,
    const OptionalTensor& level, const Tensor& transmittance, const Tensor& last, int64_t tile_size,
    double near, double low_pass, bool needs_features) {
    FiveTensors gradients;
    {
        at::AutoDispatchBelowADInplaceOrView below;
        gradients =
            backward_op().call(grad_image, grad_alpha, grad_depth, center, tangents, opacity,
                               features, channel_route, intrinsics, offsets, indices, level,
                               transmittance, last, tile_size, near, low_pass, needs_features);
    }
    auto& [c, t, o, f, k] = gradients;
    const auto out = detail::once_differentiable(
        "rasterize",
        {grad_image.value_or(Tensor()), grad_alpha.value_or(Tensor()),
         grad_depth.value_or(Tensor()), center, tangents, opacity, features, intrinsics},
        {c, t, o, f, k});
    return {out[0], out[1], out[2], out[3], out[4]};
}

/// Which tile a surfel is in has no gradient.
ThreeTensors find_tiles_autograd(const Tensor& center, const Tensor& tangents,
                                 const Tensor& opacity, const Tensor& intrinsics, c10::SymInt width,
                                 c10::SymInt height, double near, double low_pass,
                                 int64_t tile_size) {
    static const auto op = detail::find_operator<FindTilesSignature>("fmgs::find_tiles");
    at::AutoDispatchBelowADInplaceOrView below;
    return op.call(center, tangents, opacity, intrinsics, std::move(width), std::move(height), near,
                   low_pass, tile_size);
}

}  // namespace
}  // namespace fmgs::raster

TORCH_LIBRARY_IMPL(fmgs, Autograd, m) {
    using namespace fmgs::raster;
    m.impl("find_tiles", find_tiles_autograd);
    m.impl("rasterize", rasterize_autograd);
    m.impl("_rasterize_backward", rasterize_backward_autograd);
}
