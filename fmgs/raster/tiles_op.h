#pragma once
/// fmgs::find_tiles as its backends see it: what they are given and give back, and the kernel that
/// they register.
#include <c10/core/SymInt.h>
#include <torch/types.h>

#include <tuple>

namespace fmgs::raster {

/// Inputs of the operator; shapes as in rasterize.h. tile_size: pixels, at least 1.
struct TilesInputs {
    torch::Tensor center, tangents, opacity, intrinsics;
    int64_t width, height;
    double near, low_pass;
    int64_t tile_size;
};

struct TilesOutputs {
    torch::Tensor offsets, indices, level;  ///< as in Tiles
};

using ThreeTensors = std::tuple<torch::Tensor, torch::Tensor, torch::Tensor>;

/// How fmgs::find_tiles is called.
using FindTilesSignature = ThreeTensors(const torch::Tensor& center, const torch::Tensor& tangents,
                                        const torch::Tensor& opacity,
                                        const torch::Tensor& intrinsics, c10::SymInt width,
                                        c10::SymInt height, double near, double low_pass,
                                        int64_t tile_size);

/// Error on wrong shapes, dtypes, devices or values.
void check_inputs(const TilesInputs& in);

/// Length of the lists where the number of intersections is not waited for: on a GPU, and for meta
/// tensors. A surfel of the size that the method works with touches some three tiles.
template <class Integer>
Integer list_capacity(const Integer& surfels, const Integer& tiles) {
    return surfels * 8 + tiles * 4;
}

/// The kernel of fmgs::find_tiles that bins with kFind, to be registered.
template <TilesOutputs (*kFind)(const TilesInputs&)>
ThreeTensors find_tiles_kernel(const torch::Tensor& center, const torch::Tensor& tangents,
                               const torch::Tensor& opacity, const torch::Tensor& intrinsics,
                               int64_t width, int64_t height, double near, double low_pass,
                               int64_t tile_size) {
    const TilesInputs in{center, tangents, opacity,  intrinsics, width,
                         height, near,     low_pass, tile_size};
    check_inputs(in);
    auto out = kFind(in);
    return {out.offsets, out.indices, out.level};
}

}  // namespace fmgs::raster
