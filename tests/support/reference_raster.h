#pragma once
/// Two oracles of the rasterizer, both without tiles and boxes: every surfel is tried at every
/// pixel. `reference_rasterize` shares nothing with the product: the textbook formulas as torch
/// operations, autograd included. `brute_force` shares the arithmetic of surfel_math.h, in float or
/// double, and tells how near a decision each pixel came.
#include <fmgs/raster/surfel_math.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "support/scenes.h"

namespace fmgs::test {

/// The decisions of a drawing, frozen for finite differences.
struct Reference {
    Raster raster;
    torch::Tensor decisions;  ///< [4,H·W,N] bool
};

/// T = K·[a|b|p]; u, v from the cross product of the two planes through the pixel; composited by
/// cumulative products.
inline Reference reference_rasterize(const Scene& s) {
    using torch::Tensor;
    const auto z_order = torch::argsort(s.center.select(1, 2), /*stable=*/true, 0, false);
    const auto center = s.center.index_select(0, z_order),
               tangents = s.tangents.index_select(0, z_order);
    const auto opacity = s.opacity.index_select(0, z_order).select(1, 0),
               features = s.features.index_select(0, z_order);
    const auto k = s.intrinsics;
    const auto zero = torch::zeros({}, k.options()), one = torch::ones({}, k.options());
    const auto K = torch::stack({k[0], zero, k[2], zero, k[1], k[3], zero, zero, one}).view({3, 3});
    const auto T = torch::matmul(K, torch::cat({tangents, center.unsqueeze(2)}, 2));  // [N,3,3]
    const auto Tu = T.select(1, 0).unsqueeze(0), Tv = T.select(1, 1).unsqueeze(0),
               Tw = T.select(1, 2).unsqueeze(0);
    const auto x = (torch::arange(s.width, k.options()) + 0.5).repeat({s.height}).view({-1, 1, 1});
    const auto y =
        (torch::arange(s.height, k.options()) + 0.5).repeat_interleave(s.width).view({-1, 1, 1});
    const auto p = torch::cross(x * Tw - Tu, y * Tw - Tv, 2);
    const auto u = p.select(2, 0) / p.select(2, 2), v = p.select(2, 1) / p.select(2, 2);
    const auto w0 = Tw.select(2, 0), w1 = Tw.select(2, 1), w2 = Tw.select(2, 2);
    const auto hit = u * w0 + v * w1 + w2;
    const auto front = hit > 0;
    const auto dx = x.squeeze(2) - Tu.select(2, 2) / w2, dy = y.squeeze(2) - Tv.select(2, 2) / w2;
    const auto rho3 = u * u + v * v, rho2 = (dx * dx + dy * dy) / (s.low_pass * s.low_pass);
    const auto is_3d = front & (rho3 <= rho2);
    const auto gauss = opacity.unsqueeze(0) * torch::exp(-0.5 * torch::where(is_3d, rho3, rho2));
    const auto clamped = gauss > raster::kAlphaMax;
    const auto alpha_all = torch::where(clamped, torch::full_like(gauss, raster::kAlphaMax), gauss);
    // Off the surfel the depth's point is inverted in the circle ρ3 = ρ2.
    const auto z = w2 + torch::where(is_3d, one, rho2 / rho3) * (u * w0 + v * w1);

    const auto reach = torch::sqrt(w0 * w0 + w1 * w1);
    const auto in_front = w2 - raster::kReach * reach > s.near;
    const auto visible =
        (alpha_all >= raster::kAlphaMin) & in_front & (opacity.unsqueeze(0) >= raster::kAlphaMin);
    const auto candidate = torch::where(visible, alpha_all, torch::zeros_like(alpha_all));
    // Once the product falls below the limit it stays there: the sample that did it and all later
    // ones go.
    const auto drawn = visible & (torch::cumprod(1 - candidate, 1) >= raster::kTransmittanceMin);
    const auto alpha = torch::where(drawn, alpha_all, torch::zeros_like(alpha_all));
    const auto behind = torch::cumprod(1 - alpha, 1);
    const auto before =
        torch::cat({torch::ones_like(behind.slice(1, 0, 1)), behind.slice(1, 0, -1)}, 1);
    const auto weight = alpha * before;
    Reference out;
    out.raster.image = torch::matmul(weight, features).t().reshape({-1, s.height, s.width});
    out.raster.alpha = weight.sum(1).view({1, 1, s.height, s.width});
    out.raster.depth = (weight * torch::where(drawn, z, torch::zeros_like(z)))
                           .sum(1)
                           .view({1, 1, s.height, s.width});
    out.decisions = torch::stack({visible, is_3d & visible, clamped & visible, drawn});
    return out;
}

/// The arithmetic of surfel_math.h over all pixels. distance [H,W]: the smallest relative distance
/// of any sample to a decision at which the image jumps (1/255, the end of a pixel) or its gradient
/// does (a tie of the exponents, the clamp).
template <class T>
Raster brute_force(const Scene& scene, torch::Tensor* distance = nullptr) {
    using M = raster::ScalarMath<T>;
    const auto type = std::is_same_v<T, float> ? torch::kFloat : torch::kDouble;
    Scene s = scene.to(type);
    for (auto* x : {&s.center, &s.tangents, &s.opacity, &s.features, &s.intrinsics})
        *x = x->detach().contiguous();
    const int64_t n = s.size(), channels = s.features.size(1);
    const T *p = s.center.data_ptr<T>(), *t = s.tangents.data_ptr<T>(),
            *o = s.opacity.data_ptr<T>(), *f = s.features.data_ptr<T>();
    std::vector<raster::Projected<T>> projected(static_cast<size_t>(n));
    std::vector<int64_t> order;
    for (int64_t i = 0; i < n; ++i) {
        const raster::Surfel<T> surfel{{p[3 * i], p[3 * i + 1], p[3 * i + 2]},
                                       {t[6 * i], t[6 * i + 2], t[6 * i + 4]},
                                       {t[6 * i + 1], t[6 * i + 3], t[6 * i + 5]},
                                       o[i]};
        auto& j = projected[static_cast<size_t>(i)];
        if (raster::project<M>(surfel, s.intrinsics.data_ptr<T>(), static_cast<T>(s.near),
                               static_cast<T>(s.low_pass), s.width, s.height, j))
            order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return p[3 * a + 2] < p[3 * b + 2]; });
    Raster out{torch::zeros({channels, s.height, s.width}, type),
               torch::zeros({1, 1, s.height, s.width}, type),
               torch::zeros({1, 1, s.height, s.width}, type)};
    torch::Tensor nearest = torch::full({s.height, s.width}, 1.0, torch::kDouble);
    const int64_t pixels = s.height * s.width;
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
        const int64_t x = pixel % s.width, y = pixel / s.width;
        T transmittance = 1, depth = 0;
        double& close = nearest.data_ptr<double>()[pixel];
        std::vector<T> sum(static_cast<size_t>(channels), 0);
        for (const int64_t i : order) {
            const auto& j = projected[static_cast<size_t>(i)];
            const T dx = static_cast<T>(x) + T(0.5) - j.c0, dy = static_cast<T>(y) + T(0.5) - j.c1;
            const auto sample = raster::sample_alpha<M>(j, dx, dy);
            close = std::min<double>(close, std::abs(sample.alpha / T(raster::kAlphaMin) - 1));
            if (sample.alpha < T(raster::kAlphaMin)) continue;
            close = std::min<double>(close, std::abs(sample.gauss / T(raster::kAlphaMax) - 1));
            close = std::min<double>(close, std::abs(sample.rho3 / sample.rho2 - 1));
            const T after = transmittance * (1 - sample.alpha);
            close = std::min<double>(close, std::abs(after / T(raster::kTransmittanceMin) - 1));
            if (after < T(raster::kTransmittanceMin)) break;
            const T weight = sample.alpha * transmittance;
            depth += weight * raster::sample_hit<M>(j, sample).z;
            for (int64_t c = 0; c < channels; ++c)
                sum[static_cast<size_t>(c)] += weight * f[i * channels + c];
            transmittance = after;
        }
        for (int64_t c = 0; c < channels; ++c)
            out.image.data_ptr<T>()[c * pixels + pixel] = sum[static_cast<size_t>(c)];
        out.alpha.data_ptr<T>()[pixel] = 1 - transmittance;
        out.depth.data_ptr<T>()[pixel] = depth;
    }
    if (distance) *distance = nearest;
    return out;
}

}  // namespace fmgs::test
