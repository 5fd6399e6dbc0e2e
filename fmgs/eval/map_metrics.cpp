#include <fmgs/eval/map_metrics.h>

#include <fmgs/core/check.h>
#include <fmgs/core/vector_map.h>

#include <cmath>
#include <limits>

namespace fmgs {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

void check_pair(const torch::Tensor& a, const torch::Tensor& b, int64_t channels,
                const char* name) {
    check_shape(b, {channels, -1, -1}, name);
    check_shape(a, {channels, b.size(1), b.size(2)}, name);
}

/// Places [P,2] of the pixels of a mask [H,W] that have a neighbour below, to the right, or both,
/// on the other side.
torch::Tensor outline(const torch::Tensor& mask) {
    const auto right = torch::cat({mask.narrow(1, 1, mask.size(1) - 1), mask.slice(1, -1)}, 1);
    const auto below = torch::cat({mask.slice(0, 1), mask.slice(0, -1)}, 0);
    const auto both = torch::cat({right.slice(0, 1), right.slice(0, -1)}, 0);
    return ((mask != right) | (mask != below) | (mask != both)).nonzero().to(torch::kFloat64);
}

/// Share of the places that have one of `others` within `radius` pixels; 1 of none.
double share_near(const torch::Tensor& places, const torch::Tensor& others, double radius) {
    if (places.size(0) == 0) return 1;
    if (others.size(0) == 0) return 0;
    int64_t near = 0;
    for (const auto& part : places.split(1024))
        near += (std::get<0>(torch::cdist(part, others).min(1)) <= radius).sum().item<int64_t>();
    return static_cast<double>(near) / static_cast<double>(places.size(0));
}

/// The values of a map [1,H,W] over `where`, double.
torch::Tensor chosen(const torch::Tensor& map, const torch::Tensor& where) {
    return map.to(torch::kFloat64).masked_select(where);
}

}  // namespace

double mask_iou(const torch::Tensor& alpha, const torch::Tensor& mask) {
    check_pair(alpha, mask, 1, "mask");
    const auto a = alpha > 0.5, b = mask > 0.5;
    const auto both = (a & b).sum().item<int64_t>(), either = (a | b).sum().item<int64_t>();
    return either == 0 ? 1 : static_cast<double>(both) / static_cast<double>(either);
}

double mask_boundary_f(const torch::Tensor& alpha, const torch::Tensor& mask, double tolerance) {
    check_pair(alpha, mask, 1, "mask");
    const auto drawn = outline(alpha[0] > 0.5), truth = outline(mask[0] > 0.5);
    const double radius = std::ceil(tolerance * std::hypot(static_cast<double>(mask.size(1)),
                                                           static_cast<double>(mask.size(2))));
    const double precision = share_near(drawn, truth, radius),
                 recall = share_near(truth, drawn, radius);
    return precision + recall == 0 ? 0 : 2 * precision * recall / (precision + recall);
}

double depth_mae(const torch::Tensor& depth, const torch::Tensor& truth,
                 const torch::Tensor& where) {
    check_pair(depth, truth, 1, "depth");
    check_pair(where, truth, 1, "where");
    const auto errors = (chosen(depth, where) - chosen(truth, where)).abs();
    return errors.numel() == 0 ? kNone : errors.mean().item<double>();
}

double aligned_depth_mae(const torch::Tensor& depth, const torch::Tensor& truth,
                         const torch::Tensor& where) {
    check_pair(depth, truth, 1, "depth");
    check_pair(where, truth, 1, "where");
    const auto d = chosen(depth, where), t = chosen(truth, where);
    if (d.numel() == 0) return kNone;
    const auto x = d - d.mean(), y = t - t.mean();
    const double spread = x.square().sum().item<double>();
    const double scale = spread > 0 ? (x * y).sum().item<double>() / spread : 0;
    return (scale * x - y).abs().mean().item<double>();
}

NormalErrors normal_errors(const torch::Tensor& normal, const torch::Tensor& truth,
                           const torch::Tensor& where) {
    check_pair(normal, truth, 3, "normal");
    const auto unit = [](const torch::Tensor& n) {
        const auto x = n.to(torch::kFloat64);
        return x / lengths(x).clamp_min(1e-12);
    };
    const auto a = unit(normal), b = unit(truth);
    // atan2 of the chord, exact near 0 and 180 degrees where acos of a dot product is not.
    const auto angle = 2 * torch::atan2(lengths(a - b), lengths(a + b)) * (180 / M_PI);
    const auto angles = angle.masked_select(where);
    if (angles.numel() == 0) return {kNone, kNone, kNone, kNone, kNone};
    const auto below = [&](double degrees) {
        return (angles < degrees).to(torch::kFloat64).mean().item<double>();
    };
    return {angles.mean().item<double>(), angles.median().item<double>(), below(11.25), below(22.5),
            below(30)};
}

}  // namespace fmgs
