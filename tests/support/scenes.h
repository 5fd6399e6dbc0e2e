#pragma once
/// Small scenes of surfels in camera frame, for the tests of the rasterizer.
#include <fmgs/raster/rasterize.h>

#include <cmath>

#include "support/test.h"

namespace fmgs::test {

/// Camera-frame surfels and a pinhole; one route unless expanded.
struct Scene {
    torch::Tensor center;      ///< [N,3]
    torch::Tensor tangents;    ///< [N,3,2] scaled
    torch::Tensor opacity;     ///< [N,1]
    torch::Tensor features;    ///< [N,C]
    torch::Tensor intrinsics;  ///< [4]
    int64_t width = 32, height = 32;
    double near = 0.2, low_pass = std::sqrt(0.5);

    int64_t size() const { return center.size(0); }
    Tiles tiles(int64_t tile_size = 16) const {
        return find_tiles(center, tangents, opacity, intrinsics, width, height, near, low_pass,
                          tile_size);
    }
    /// Drawn with one route.
    Raster draw(int64_t tile_size = 16) const {
        return rasterize(center.unsqueeze(0), tangents.unsqueeze(0), opacity.unsqueeze(0), features,
                         torch::zeros({features.size(1)}, torch::kLong), intrinsics,
                         tiles(tile_size));
    }
    Scene to(torch::ScalarType type) const {
        Scene s = *this;
        for (auto* x : {&s.center, &s.tangents, &s.opacity, &s.features, &s.intrinsics})
            *x = x->to(type);
        return s;
    }
    Scene select(const torch::Tensor& index) const {
        Scene s = *this;
        for (auto* x : {&s.center, &s.tangents, &s.opacity, &s.features})
            *x = x->index_select(0, index);
        return s;
    }
    void require_gradients() {
        for (auto* x : {&center, &tangents, &opacity, &features, &intrinsics})
            *x = x->detach().clone(torch::MemoryFormat::Contiguous).requires_grad_(true);
    }
    std::vector<torch::Tensor> inputs() const {
        return {center, tangents, opacity, features, intrinsics};
    }
};

inline torch::Tensor pinhole(double focal, double cx, double cy) {
    return torch::tensor({focal, focal, cx, cy}, torch::kDouble);
}

/// n slanted, overlapping surfels of σ between `small` and `large` pixels all over the image; the
/// low-pass is narrow for odd seeds and 2DGS's for even ones. Double.
inline Scene random_scene(uint64_t seed, int64_t n, int64_t channels, int64_t width = 32,
                          int64_t height = 32, double small = 0.5, double large = 4) {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    const auto uniform = [&](const std::vector<int64_t>& shape, double lo, double hi) {
        return torch::rand(shape, generator, torch::kDouble) * (hi - lo) + lo;
    };
    Scene s;
    s.width = width;
    s.height = height;
    s.low_pass = seed % 2 ? 0.35 : std::sqrt(0.5);
    const double focal = 1.1 * static_cast<double>(width);
    s.intrinsics = torch::tensor({focal, 1.05 * focal, 0.48 * static_cast<double>(width),
                                  0.53 * static_cast<double>(height)},
                                 torch::kDouble);
    const auto z = uniform({n, 1}, 1.5, 3);
    const auto pixel = torch::cat({uniform({n, 1}, -2, static_cast<double>(width) + 2),
                                   uniform({n, 1}, -2, static_cast<double>(height) + 2)},
                                  1);
    s.center =
        torch::cat({(pixel - s.intrinsics.slice(0, 2)) / s.intrinsics.slice(0, 0, 2) * z, z}, 1);
    auto [q, r] = torch::linalg_qr(torch::randn({n, 3, 3}, generator, torch::kDouble));
    const auto sigma = uniform({n, 1, 2}, small, large) * z.unsqueeze(2) / focal;
    s.tangents = q.slice(2, 0, 2) * sigma;
    s.opacity = uniform({n, 1}, 0.1, 0.999);
    s.features = torch::randn({n, channels}, generator, torch::kDouble);
    return s;
}

/// One surfel facing the camera at the image centre; σ in pixels.
inline Scene facing_surfel(double sigma, double opacity, double z = 2, int64_t size = 32) {
    Scene s;
    s.width = s.height = size;
    const double focal = 40;
    s.intrinsics = pinhole(focal, 0.5 * static_cast<double>(size), 0.5 * static_cast<double>(size));
    s.center = torch::tensor({{0.0, 0.0, z}}, torch::kDouble);
    s.tangents =
        torch::tensor({{{1.0, 0.0}, {0.0, 1.0}, {0.0, 0.0}}}, torch::kDouble) * (sigma * z / focal);
    s.opacity = torch::full({1, 1}, opacity, torch::kDouble);
    s.features = torch::ones({1, 1}, torch::kDouble);
    return s;
}

inline Scene join(const Scene& a, const Scene& b) {
    Scene s = a;
    s.center = torch::cat({a.center, b.center});
    s.tangents = torch::cat({a.tangents, b.tangents});
    s.opacity = torch::cat({a.opacity, b.opacity});
    s.features = torch::cat({a.features, b.features});
    return s;
}

}  // namespace fmgs::test
