#include <fmgs/losses/normal.h>

#include <fmgs/core/check.h>
#include <fmgs/losses/pixels.h>

namespace fmgs {

DepthNormals normal_from_depth(const torch::Tensor& depth, const Camera& camera,
                               const torch::Tensor& inside) {
    check_shape(depth, {1, -1, -1}, "depth");
    const int64_t height = depth.size(1), width = depth.size(2);
    check_shape(inside, {height, width}, "inside");
    if (height < 3 || width < 3)
        return {depth.new_zeros({3, height, width}), torch::zeros_like(inside)};

    const auto f = camera.intrinsics.to(depth.options());
    const auto x = (torch::arange(width, depth.options()) + 0.5 - f[2]) / f[0];
    const auto y = ((torch::arange(height, depth.options()) + 0.5 - f[3]) / f[1]).unsqueeze(1);
    const auto z = depth.squeeze(0);
    const auto points = torch::stack({x * z, y * z, z});
    const auto inner = [&](const torch::Tensor& map, int64_t dy, int64_t dx) {
        return map.narrow(-2, 1 + dy, height - 2).narrow(-1, 1 + dx, width - 2);
    };
    const auto horizontal = inner(points, 0, 1) - inner(points, 0, -1);
    const auto vertical = inner(points, 1, 0) - inner(points, -1, 0);
    const auto cross = torch::cross(vertical, horizontal, 0);
    const auto normal = cross / (cross.square().sum(0, true) + 1e-20).sqrt();
    const auto valid = inner(inside, 0, 0) & inner(inside, 0, 1) & inner(inside, 0, -1) &
                       inner(inside, 1, 0) & inner(inside, -1, 0);
    return {torch::constant_pad_nd(normal.masked_fill(valid.logical_not(), 0), {1, 1, 1, 1}),
            torch::constant_pad_nd(valid, {1, 1, 1, 1})};
}

torch::Tensor NormalConsistencyLoss::forward(const LossInput& input) {
    const auto& normal = input.rendered.at("normal");
    auto depth = input.rendered.at("depth");
    // N̂ is a target: (2) of §4.5 keeps normal losses from moving surfels
    if (!live_target_) depth = depth.detach();
    const auto from_depth = normal_from_depth(depth, input.frame.camera, foreground(input));
    return masked_mean((normal - from_depth.normal).abs().sum(0), from_depth.valid);
}

torch::Tensor NormalLoss::forward(const LossInput& input) {
    const auto& normal = input.rendered.at("normal");
    const auto given = target(input, "normal", {3, normal.size(1), normal.size(2)}, normal);
    const auto length = given.square().sum(0).sqrt();
    const auto valid = length.isfinite().logical_and(length >= 0.5);
    const auto prior = (given / length).masked_fill(valid.logical_not(), 0);
    return masked_mean(1 - (normal * prior).sum(0), valid.logical_and(foreground(input)));
}

torch::Tensor NormalTvLoss::forward(const LossInput& input) {
    const auto& normal = input.rendered.at("normal");
    const auto inside = foreground(input);
    std::vector<torch::Tensor> sums, pairs;
    for (const int64_t dimension : {-1, -2}) {
        const int64_t n = normal.size(dimension) - 1;
        const auto difference = normal.narrow(dimension, 1, n) - normal.narrow(dimension, 0, n);
        const auto both =
            inside.narrow(dimension, 1, n).logical_and(inside.narrow(dimension, 0, n));
        sums.push_back(difference.abs().sum(0).masked_fill(both.logical_not(), 0).sum());
        pairs.push_back(both.sum());
    }
    return (sums[0] + sums[1]) / (pairs[0] + pairs[1]).clamp_min(1);  // (17)
}

}  // namespace fmgs
