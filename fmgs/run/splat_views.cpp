#include <fmgs/run/splat_views.h>

#include <fmgs/fields/splat_colors.h>
#include <fmgs/run/shots.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fmgs {

Maps draw(const Splats& splats, const Camera& camera) {
    const torch::NoGradGuard guard;
    auto surfels = splats.surfels;
    surfels.features.set("color", splat_colors(splats, camera));
    return draw(surfels, camera);
}

std::vector<Camera> turntable(const PosedSurfels& surfels, const torch::Tensor& up, int64_t count,
                              int64_t size) {
    constexpr double kFieldOfView = 40, kAbove = 10;  // degrees
    constexpr double kNearlyAll = 0.98;  // captured scenes have a few Gaussians far away
    constexpr double kRadians = std::numbers::pi / 180;
    const auto middle = std::get<0>(surfels.center.median(0));
    // of the farthest that count
    const auto distance = std::get<0>((surfels.center - middle).norm(2, 1).sort());
    const auto farthest =
        static_cast<int64_t>(std::ceil(kNearlyAll * static_cast<double>(distance.size(0) - 1)));
    const auto extent = surfels.tangents.norm(2, 1).amax(1).median().item<double>();
    const double radius = std::max(distance[farthest].item<double>(), 3 * extent);
    const double half = kFieldOfView / 2 * kRadians;
    const double focal = 0.5 * static_cast<double>(size) / std::tan(half);
    const double away = radius / std::sin(half);
    // Any direction across up; z where it can be, since most worlds have a front along z.
    auto front = torch::zeros({3});
    front[std::abs(up[2].item<double>()) > 0.9 ? 1 : 2] = up.sum().item<double>() < 0 ? -1 : 1;
    front = front - up * up.dot(front);
    const auto eye = middle + away * (front / front.norm() * std::cos(kAbove * kRadians) +
                                      up * std::sin(kAbove * kRadians));
    auto camera = Camera::look_at(eye, middle, up, focal, size, size);
    camera.near = std::min(camera.near, 0.01 * away);
    return turntable(camera, middle, up, count);
}

}  // namespace fmgs
