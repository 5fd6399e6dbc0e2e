#pragma once
/// The differentiable 2D Gaussian surfel rasterizer (eq. 1), registered as fmgs::find_tiles and
/// fmgs::rasterize. One camera per call.
#include <fmgs/core/tensor_stamp.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace fmgs {

/// Which surfels touch which tile, front to back. Carries no gradient; shared by all routes and by
/// the backward pass.
struct Tiles {
    /// [T+1] int32: surfels of tile t are indices[offsets[t] … offsets[t+1])
    torch::Tensor offsets;
    /// [P] int32 surfel ids, by centre depth (ties by id) within each tile; longer on a GPU, where
    /// P is not waited for
    torch::Tensor indices;
    /// [1] int32: the tiles are size·2^level wide; above 0 on a GPU only, where the surfels are too
    /// large for lists of smaller ones. Undefined: 0
    torch::Tensor level;
    int64_t width = 0;    ///< pixels
    int64_t height = 0;   ///< pixels
    int64_t size = 0;     ///< edge of a tile, pixels
    double near = 0;      ///< metres; nothing closer is drawn
    double low_pass = 0;  ///< σ of the low-pass, pixels
    /// Rotation, translation and intrinsics of the camera, where they were found for one
    /// (render.h), and what they were then: render() refuses another one's.
    std::vector<std::pair<torch::Tensor, TensorStamp>> camera;
};

/// Bins surfels by their exact support box: the α ≥ 1/255 contour of the projected disc, united
/// with the low-pass disc. center: [N,3] camera frame; tangents: [N,3,2] scaled; opacity: [N,1];
/// intrinsics: [4] fx fy cx cy. Surfels that are not finite, too faint or not wholly in front of
/// `near` are left out. `low_pass`: σ > 0 of the least a surfel spreads over, pixels (2DGS: √½).
/// tile_size: pixels; 0 takes the device's own, 32 on a CPU and 8 on a GPU, where it is a multiple
/// of 8. The image does not depend on it. Error for a device that this build has no kernels for, or
/// double on a GPU.
Tiles find_tiles(const torch::Tensor& center, const torch::Tensor& tangents,
                 const torch::Tensor& opacity, const torch::Tensor& intrinsics, int64_t width,
                 int64_t height, double near, double low_pass, int64_t tile_size = 0);

/// What rasterize draws.
struct Raster {
    torch::Tensor image;  ///< [C,H,W] Σ w_i f_i, w_i = α_i Π_{j<i}(1-α_j)
    torch::Tensor alpha;  ///< [R,1,H,W] Σ w_i
    /// [R,1,H,W] Σ w_i z_i, not divided by alpha; z of the ray–surfel hit, drawn in to the centre
    /// where only the low-pass reaches, metres
    torch::Tensor depth;
};

/// R ≥ 1 routes whose rows have equal values: the forward reads row 0; the backward evaluates each
/// surfel–pixel sample once and gives every route the gradient of its own channels, alpha and
/// depth. Undefined cotangents cost nothing. center: [R,N,3] camera frame, metres; tangents:
/// [R,N,3,2] scaled, metres; opacity: [R,N,1]; features: [N,C]; channel_route: [C] int64, the route
/// in [0,R) of each channel, or -1: its gradient reaches its features only, which costs next to
/// nothing; intrinsics: [4]; float, or double on a CPU. Error on wrong shapes, dtypes, devices or
/// tile indices. A second derivative raises.
Raster rasterize(const torch::Tensor& center, const torch::Tensor& tangents,
                 const torch::Tensor& opacity, const torch::Tensor& features,
                 const torch::Tensor& channel_route, const torch::Tensor& intrinsics,
                 const Tiles& tiles);

}  // namespace fmgs
