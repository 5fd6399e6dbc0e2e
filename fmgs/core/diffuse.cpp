#include <fmgs/core/diffuse.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <torch/nn/functional.h>

#include <algorithm>

namespace fmgs {
namespace {

using torch::Tensor;

/// Nodes whose weights are given.
struct Given {
    Tensor values;  // [J,R,R,R]; 0 where nothing is
    Tensor known;   // [1,R,R,R] bool
};

Given rasterized(const Tensor& points, const Tensor& weights, const Tensor& box, int64_t n) {
    const auto place = ((points - box[0]) / (box[1] - box[0]) * static_cast<double>(n - 1)).round();
    const auto index = place.to(torch::kLong).clamp(0, n - 1);
    const auto node = (index.select(1, 2) * n + index.select(1, 1)) * n + index.select(1, 0);
    const auto sums =
        torch::zeros({n * n * n, weights.size(1)}, weights.options()).index_add_(0, node, weights);
    const auto counts = torch::zeros({n * n * n, 1}, weights.options())
                            .index_add_(0, node, torch::ones_like(weights.narrow(1, 0, 1)));
    return {(sums / counts.clamp_min(1)).t().contiguous().view({-1, n, n, n}),
            (counts > 0).view({1, n, n, n})};
}

/// Σ over the neighbours of a node of (its value - theirs); there is none beyond the border.
Tensor laplacian(const Tensor& x) {
    auto out = torch::zeros_like(x);
    for (int64_t axis = 1; axis <= 3; ++axis) {
        const int64_t n = x.size(axis);
        const auto step = x.narrow(axis, 1, n - 1) - x.narrow(axis, 0, n - 1);
        out.narrow(axis, 1, n - 1) += step;
        out.narrow(axis, 0, n - 1) -= step;
    }
    return out;
}

/// <a,b> of each channel, [J,1,1,1].
Tensor products(const Tensor& a, const Tensor& b) {
    return (a * b).sum({1, 2, 3}, /*keepdim=*/true);
}

/// Solves for the nodes that are not given, from `x` on.
Tensor solve(const Given& given, Tensor x, const DiffusionOptions& options) {
    const auto unknown = given.known.logical_not();
    x = torch::where(given.known, given.values, x);
    auto residual = -laplacian(x) * unknown;
    auto direction = residual.clone();
    auto size = products(residual, residual);
    for (int64_t k = 0; k < options.iterations; ++k) {
        if (residual.abs().max().item<double>() <= options.tolerance) return x;
        const auto image = laplacian(direction) * unknown;
        // A channel that is solved has no direction left.
        const auto step = size / products(direction, image).clamp_min(1e-30);
        x += step * direction;
        residual -= step * image;
        const auto next = products(residual, residual);
        direction = residual + next / size.clamp_min(1e-30) * direction;
        size = next;
    }
    throw Error(fmt::format(
        "diffuse_weights: after {} iterations an equation is still off by {:.2e}, more than {:.2e}",
        options.iterations, residual.abs().max().item<double>(), options.tolerance));
}

void check_arguments(const Tensor& points, const Tensor& weights, const Tensor& box,
                     const DiffusionOptions& options) {
    check_shape(points, {-1, 3}, "diffuse_weights: points");
    check_shape(weights, {points.size(0), -1}, "diffuse_weights: weights");
    check_shape(box, {2, 3}, "diffuse_weights: box");
    if (points.size(0) == 0) throw Error("diffuse_weights: expected points, got none");
    if (options.resolution < 4 || options.resolution > 512)
        throw Error(fmt::format("diffuse_weights: resolution: expected 4 to 512 nodes, got {}",
                                options.resolution));
    if (!((points >= box[0]) & (points <= box[1])).all().item<bool>())
        throw Error("diffuse_weights: expected finite points within the box");
}

}  // namespace

Tensor sample(const Volume& volume, const Tensor& x) {
    check_shape(volume.values, {-1, -1, -1, -1}, "volume");
    check_shape(volume.box, {2, 3}, "box of the volume");
    check_shape(x, {-1, 3}, "points of the volume");
    const auto place = 2 * (x - volume.box[0]) / (volume.box[1] - volume.box[0]) - 1;
    namespace F = torch::nn::functional;
    return F::grid_sample(volume.values.unsqueeze(0), place.view({1, -1, 1, 1, 3}),
                          F::GridSampleFuncOptions()
                              .mode(torch::kBilinear)
                              .padding_mode(torch::kBorder)
                              .align_corners(true))
        .view({volume.values.size(0), -1})
        .t();
}

Volume diffuse_weights(const Tensor& points, const Tensor& weights, const Tensor& box,
                       const DiffusionOptions& options) {
    check_arguments(points, weights, box, options);
    const torch::NoGradGuard guard;  // weights of a surface are constants
    std::vector<int64_t> sizes{options.resolution};
    while (sizes.back() > 8) sizes.push_back((sizes.back() + 1) / 2);
    std::reverse(sizes.begin(), sizes.end());

    Volume out{weights.mean(0).view({-1, 1, 1, 1}), box};
    for (const auto n : sizes) {
        namespace F = torch::nn::functional;
        const auto start =
            F::interpolate(out.values.unsqueeze(0), F::InterpolateFuncOptions()
                                                        .size(std::vector<int64_t>{n, n, n})
                                                        .mode(torch::kTrilinear)
                                                        .align_corners(true))
                .squeeze(0);
        out.values = solve(rasterized(points, weights, box, n), start, options);
    }
    // What the tolerance leaves: weights are shares.
    out.values.clamp_(0, 1);
    out.values /= out.values.sum(0, /*keepdim=*/true);
    return out;
}

}  // namespace fmgs
