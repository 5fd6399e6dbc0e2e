#include <fmgs/fields/split_sum_shading.h>

#include <fmgs/core/check.h>
#include <torch/types.h>

#include <numbers>

namespace fmgs {
namespace {

constexpr int64_t kCells = 64, kSamples = 1024;

/// The second coordinates of the Hammersley points: bits mirrored at the point, [kSamples].
torch::Tensor mirrored_bits() {
    auto out = torch::zeros({kSamples}, torch::kDouble);
    for (int64_t i = 0; i < kSamples; ++i) {
        double value = 0, half = 0.5;
        for (int64_t bits = i; bits > 0; bits >>= 1, half /= 2)
            if (bits & 1) value += half;
        out[i] = value;
    }
    return out;
}

/// A and B of one roughness for the cosines n_v [C,1] of the view: [C,2]. Half vectors are drawn
/// from D, so that each sample counts 4·V·(n·l)·(v·h)/(n·h), V the visibility of Smith.
torch::Tensor integrated(const torch::Tensor& n_v, double roughness, const torch::Tensor& u,
                         const torch::Tensor& turn) {
    const double a2 = std::pow(roughness, 4);
    const auto n_h = ((1 - u) / (1 + (a2 - 1) * u)).sqrt();  // [S]
    const auto side = (1 - n_h.square()).clamp_min(0).sqrt() * turn.cos();
    const auto v_h = ((1 - n_v.square()).clamp_min(0).sqrt() * side + n_v * n_h).clamp_min(0);
    const auto n_l = (2 * v_h * n_h - n_v).clamp_min(0);
    const auto smith = [&](const torch::Tensor& x) { return (x.square() * (1 - a2) + a2).sqrt(); };
    const auto visible = 0.5 / (n_l * smith(n_v) + n_v * smith(n_l));
    const auto weight = 4 * visible * n_l * v_h / n_h;
    const auto fresnel = (1 - v_h).pow(5);
    return torch::stack({((1 - fresnel) * weight).mean(1), (fresnel * weight).mean(1)}, 1);
}

/// [1,2,roughness,n·v] at the centres of the cells.
const Constant& table() {
    static const Constant made([] {
        const auto u = mirrored_bits();
        const auto turn = (torch::arange(kSamples, torch::kDouble) + 0.5) *
                          (2 * std::numbers::pi / double(kSamples));
        const auto n_v =
            (torch::arange(kCells, torch::kDouble).unsqueeze(1) + 0.5) / double(kCells);
        std::vector<torch::Tensor> rows;
        for (int64_t k = 0; k < kCells; ++k)
            rows.push_back(integrated(n_v, (double(k) + 0.5) / double(kCells), u, turn));
        return torch::stack(rows).permute({2, 0, 1}).unsqueeze(0).contiguous();
    }());
    return made;
}

}  // namespace

torch::Tensor split_sum(const torch::Tensor& n_v, const torch::Tensor& roughness) {
    check_shape(n_v, {-1, 1}, "cosine of the view");
    check_shape(roughness, {n_v.size(0), 1}, "roughness");
    const auto grid = (2 * torch::cat({n_v, roughness}, 1) - 1).view({1, 1, -1, 2});
    return at::grid_sampler_2d(table().like(n_v), grid, /*bilinear*/ 0, /*border*/ 1,
                               /*align_corners=*/false)
        .view({2, -1})
        .t();
}

torch::Tensor shade(const Materials& m, const torch::Tensor& normal, const torch::Tensor& view,
                    const FilteredLight& light) {
    const int64_t count = normal.size(0);
    check_shape(normal, {-1, 3}, "normal");
    check_shape(view, {count, 3}, "view");
    check_shape(m.albedo, {count, 3}, "albedo");
    check_shape(m.f0, {count, -1}, "f0");
    const auto n_v = (normal * view).sum(1, true).clamp(0, 1);
    const auto mirrored = 2 * n_v * normal - view;
    const auto share = split_sum(n_v, m.roughness);
    const auto spec = m.f0 * share.narrow(1, 0, 1) + share.narrow(1, 1, 1);
    return (1 - spec) * m.albedo * light.diffuse(normal) +
           spec * light.specular(mirrored, m.roughness);
}

}  // namespace fmgs
