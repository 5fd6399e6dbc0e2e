#pragma once
/// fmgs::rasterize as its backends see it: what they are given and give back, and the kernels that
/// they register.
#include <c10/core/SymInt.h>
#include <torch/types.h>

#include <tuple>

namespace fmgs::raster {

/// Inputs of the operator; shapes as in rasterize.h.
struct RasterizeInputs {
    torch::Tensor center, tangents, opacity, features, channel_route, intrinsics, offsets, indices;
    int64_t width, height, tile_size;
    double near, low_pass;
    torch::Tensor level;  ///< as in Tiles, or undefined: 0
};

struct RasterizeOutputs {
    torch::Tensor image, alpha, depth;  ///< as in rasterize.h
    torch::Tensor transmittance;        ///< [H,W] Π (1-α_i)
    torch::Tensor last;  ///< [H,W] int32 position of the last contributor in its tile's list, or -1
};

/// Undefined image, alpha or depth: no gradient comes from there.
struct RasterizeCotangents {
    torch::Tensor image, alpha, depth;
    torch::Tensor transmittance, last;  ///< as the forward returned them
    bool needs_features;                ///< without, the gradient of the features comes out zero
};

struct RasterizeGradients {
    torch::Tensor center, tangents, opacity, features, intrinsics;
};

using OptionalTensor = std::optional<torch::Tensor>;
using FiveTensors =
    std::tuple<torch::Tensor, torch::Tensor, torch::Tensor, torch::Tensor, torch::Tensor>;

/// How fmgs::rasterize and fmgs::_rasterize_backward are called.
using RasterizeSignature = FiveTensors(const torch::Tensor& center, const torch::Tensor& tangents,
                                       const torch::Tensor& opacity, const torch::Tensor& features,
                                       const torch::Tensor& channel_route,
                                       const torch::Tensor& intrinsics,
                                       const torch::Tensor& offsets, const torch::Tensor& indices,
                                       const OptionalTensor& level, c10::SymInt width,
                                       c10::SymInt height, int64_t tile_size, double near,
                                       double low_pass);
using RasterizeBackwardSignature = FiveTensors(
    const OptionalTensor& grad_image, const OptionalTensor& grad_alpha,
    const OptionalTensor& grad_depth, const torch::Tensor& center, const torch::Tensor& tangents,
    const torch::Tensor& opacity, const torch::Tensor& features, const torch::Tensor& channel_route,
    const torch::Tensor& intrinsics, const torch::Tensor& offsets, const torch::Tensor& indices,
    const OptionalTensor& level, const torch::Tensor& transmittance, const torch::Tensor& last,
    int64_t tile_size, double near, double low_pass, bool needs_features);

/// Error on wrong shapes, dtypes, devices or values; on a CPU also on lists of tiles that are none.
void check_inputs(const RasterizeInputs& in);
void check_cotangents(const RasterizeCotangents& cotangents, const RasterizeInputs& in);

/// The kernel of fmgs::rasterize that draws with kDraw, to be registered.
template <RasterizeOutputs (*kDraw)(const RasterizeInputs&)>
FiveTensors rasterize_kernel(const torch::Tensor& center, const torch::Tensor& tangents,
                             const torch::Tensor& opacity, const torch::Tensor& features,
                             const torch::Tensor& channel_route, const torch::Tensor& intrinsics,
                             const torch::Tensor& offsets, const torch::Tensor& indices,
                             const OptionalTensor& level, int64_t width, int64_t height,
                             int64_t tile_size, double near, double low_pass) {
    const RasterizeInputs in{center,        tangents,
                             opacity,       features,
                             channel_route, intrinsics,
                             offsets,       indices,
                             width,         height,
                             tile_size,     near,
                             low_pass,      level.value_or(torch::Tensor())};
    check_inputs(in);
    auto out = kDraw(in);
    return {out.image, out.alpha, out.depth, out.transmittance, out.last};
}

/// The kernel of fmgs::_rasterize_backward that differentiates with kDifferentiate.
template <RasterizeGradients (*kDifferentiate)(const RasterizeInputs&, const RasterizeCotangents&)>
FiveTensors rasterize_backward_kernel(
    const OptionalTensor& grad_image, const OptionalTensor& grad_alpha,
    const OptionalTensor& grad_depth, const torch::Tensor& center, const torch::Tensor& tangents,
    const torch::Tensor& opacity, const torch::Tensor& features, const torch::Tensor& channel_route,
    const torch::Tensor& intrinsics, const torch::Tensor& offsets, const torch::Tensor& indices,
    const OptionalTensor& level, const torch::Tensor& transmittance, const torch::Tensor& last,
    int64_t tile_size, double near, double low_pass, bool needs_features) {
    const RasterizeCotangents cotangents{grad_image.value_or(torch::Tensor()),
                                         grad_alpha.value_or(torch::Tensor()),
                                         grad_depth.value_or(torch::Tensor()),
                                         transmittance,
                                         last,
                                         needs_features};
    const bool is_image = last.dim() == 2;  // else refused below
    const RasterizeInputs in{center,
                             tangents,
                             opacity,
                             features,
                             channel_route,
                             intrinsics,
                             offsets,
                             indices,
                             is_image ? last.size(1) : 0,
                             is_image ? last.size(0) : 0,
                             tile_size,
                             near,
                             low_pass,
                             level.value_or(torch::Tensor())};
    check_cotangents(cotangents, in);
    auto out = kDifferentiate(in, cotangents);
    return {out.center, out.tangents, out.opacity, out.features, out.intrinsics};
}

}  // namespace fmgs::raster
