/// The shapes of what the rasterizer's operators return.
#include <fmgs/raster/rasterize_op.h>
#include <fmgs/raster/tiles_op.h>
#include <torch/library.h>

namespace fmgs::raster {
namespace {

using torch::Tensor;

Tensor shaped(std::vector<c10::SymInt> shape, const torch::TensorOptions& options) {
    return at::empty_symint(shape, options);
}

FiveTensors rasterize_meta(const Tensor& center, const Tensor&, const Tensor&,
                           const Tensor& features, const Tensor&, const Tensor&, const Tensor&,
                           const Tensor&, const OptionalTensor&, c10::SymInt width,
                           c10::SymInt height, int64_t, double, double) {
    const auto options = center.options();
    const auto routes = center.sym_size(0);
    return {shaped({features.sym_size(1), height, width}, options),
            shaped({routes, 1, height, width}, options),
            shaped({routes, 1, height, width}, options), shaped({height, width}, options),
            shaped({height, width}, options.dtype(torch::kInt))};
}

FiveTensors rasterize_backward_meta(const OptionalTensor&, const OptionalTensor&,
                                    const OptionalTensor&, const Tensor& center,
                                    const Tensor& tangents, const Tensor& opacity,
                                    const Tensor& features, const Tensor&, const Tensor& intrinsics,
                                    const Tensor&, const Tensor&, const OptionalTensor&,
                                    const Tensor&, const Tensor&, int64_t, double, double, bool) {
    const auto like = [](const Tensor& x) { return shaped(x.sym_sizes().vec(), x.options()); };
    return {like(center), like(tangents), like(opacity), like(features), like(intrinsics)};
}

/// The list of indices is as long as on a GPU; on a CPU its length is that of what was found.
ThreeTensors find_tiles_meta(const Tensor& center, const Tensor&, const Tensor&, const Tensor&,
                             c10::SymInt width, c10::SymInt height, double, double,
                             int64_t tile_size) {
    const auto along = [&](const c10::SymInt& n) { return (n + (tile_size - 1)) / tile_size; };
    const auto tiles = along(width) * along(height);
    const auto options = center.options().dtype(torch::kInt);
    return {shaped({tiles + 1}, options),
            shaped({list_capacity(center.sym_size(0), tiles)}, options), shaped({1}, options)};
}

}  // namespace
}  // namespace fmgs::raster

TORCH_LIBRARY_IMPL(fmgs, Meta, m) {
    using namespace fmgs::raster;
    m.impl("find_tiles", find_tiles_meta);
    m.impl("rasterize", rasterize_meta);
    m.impl("_rasterize_backward", rasterize_backward_meta);
}
