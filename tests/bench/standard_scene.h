#pragma once
/// The standard scene of the rasterizer, and how long something takes.
#include <fmgs/raster/rasterize.h>
#include <torch/cuda.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

namespace fmgs::bench {

inline constexpr int64_t kSurfels = 55104, kSize = 512;
inline constexpr double kPixelsPerMetre = 0.85 * kSize / 1.75, kDistance = 4, kStandardSigma = 1.39,
                        kLowPass = 0.7071;  // 2DGS

inline torch::Device device = torch::kCPU;

/// Seconds, after all that was asked of the device is done.
inline double now() {
    if (device.is_cuda()) torch::cuda::synchronize();
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

struct Capsule {
    std::array<double, 3> from, to;
    double radius;
};

/// A standing person, arms away from the body; metres, y down, feet at 0.875.
inline const std::vector<Capsule>& body() {
    static const std::vector<Capsule> parts = {
        {{0, -0.77, 0}, {0, -0.72, 0}, 0.082},          // head
        {{-0.08, -0.45, 0}, {-0.08, 0.0, 0}, 0.098},    // trunk, two columns
        {{0.08, -0.45, 0}, {0.08, 0.0, 0}, 0.098},      //
        {{-0.18, -0.5, 0}, {-0.42, -0.28, 0}, 0.043},   // upper arms
        {{0.18, -0.5, 0}, {0.42, -0.28, 0}, 0.043},     //
        {{-0.42, -0.28, 0}, {-0.66, -0.06, 0}, 0.035},  // lower arms and hands
        {{0.42, -0.28, 0}, {0.66, -0.06, 0}, 0.035},    //
        {{-0.11, 0.05, 0}, {-0.16, 0.43, 0}, 0.066},    // thighs
        {{0.11, 0.05, 0}, {0.16, 0.43, 0}, 0.066},      //
        {{-0.16, 0.43, 0}, {-0.2, 0.815, 0}, 0.047},    // shins and feet
        {{0.16, 0.43, 0}, {0.2, 0.815, 0}, 0.047},
    };
    return parts;
}

struct Scene {
    torch::Tensor center, tangents, opacity, intrinsics;
    fmgs::Tiles tiles;

    void find_tiles() {
        tiles =
            fmgs::find_tiles(center, tangents, opacity, intrinsics, kSize, kSize, 0.2, kLowPass);
    }
    Scene on(torch::Device where) const {
        Scene s{center.to(where), tangents.to(where), opacity.to(where), intrinsics.to(where), {}};
        s.find_tiles();
        return s;
    }
};

/// Surfels spread evenly over the capsules' surfaces; like a mesh's faces, none lies inside another
/// part by more than chance.
inline Scene scene(double sigma_pixels) {
    std::mt19937_64 random(7);
    std::uniform_real_distribution<double> uniform(0, 1);
    std::vector<double> area;
    for (const auto& c : body()) {
        const double length =
            std::hypot(c.to[0] - c.from[0], c.to[1] - c.from[1], c.to[2] - c.from[2]);
        area.push_back(2 * M_PI * c.radius * (length + 2 * c.radius));
    }
    std::discrete_distribution<size_t> pick(area.begin(), area.end());
    const auto center = torch::empty({kSurfels, 3}), tangents = torch::empty({kSurfels, 3, 2});
    const double sigma = sigma_pixels / kPixelsPerMetre;
    for (int64_t i = 0; i < kSurfels; ++i) {
        const auto& c = body()[pick(random)];
        const double length = std::hypot(c.to[0] - c.from[0], c.to[1] - c.from[1]);
        const double ux = (c.to[0] - c.from[0]) / length,
                     uy = (c.to[1] - c.from[1]) / length;  // axes lie in the xy plane
        // Archimedes: heights along the axis are uniform on the caps too.
        const double h = uniform(random) * (length + 2 * c.radius) - c.radius,
                     angle = 2 * M_PI * uniform(random);
        const double along = std::clamp(h, 0.0, length), cap = (h - along) / c.radius;
        const double ring = std::sqrt(1 - cap * cap);
        const std::array<double, 3> normal = {ring * std::cos(angle) * -uy + cap * ux,
                                              ring * std::cos(angle) * ux + cap * uy,
                                              ring * std::sin(angle)};
        const std::array<double, 3> p = {c.from[0] + along * ux + c.radius * normal[0],
                                         c.from[1] + along * uy + c.radius * normal[1],
                                         c.from[2] + c.radius * normal[2] + kDistance};
        const std::array<double, 3> helper = std::abs(normal[2]) < 0.9
                                                 ? std::array<double, 3>{0, 0, 1}
                                                 : std::array<double, 3>{1, 0, 0};
        std::array<double, 3> a = {helper[1] * normal[2] - helper[2] * normal[1],
                                   helper[2] * normal[0] - helper[0] * normal[2],
                                   helper[0] * normal[1] - helper[1] * normal[0]};
        const double norm = std::hypot(a[0], a[1], a[2]);
        for (auto& x : a) x /= norm;
        const std::array<double, 3> b = {normal[1] * a[2] - normal[2] * a[1],
                                         normal[2] * a[0] - normal[0] * a[2],
                                         normal[0] * a[1] - normal[1] * a[0]};
        for (int64_t k = 0; k < 3; ++k) {
            const auto d = static_cast<size_t>(k);
            center.data_ptr<float>()[3 * i + k] = static_cast<float>(p[d]);
            tangents.data_ptr<float>()[6 * i + 2 * k] = static_cast<float>(sigma * a[d]);
            tangents.data_ptr<float>()[6 * i + 2 * k + 1] = static_cast<float>(sigma * b[d]);
        }
    }
    const auto focal = static_cast<float>(kPixelsPerMetre * kDistance);
    Scene s{center,
            tangents,
            torch::full({kSurfels, 1}, 0.9f),
            torch::tensor({focal, focal, 256.f, 256.f}),
            {}};
    s.find_tiles();
    return s;
}

struct Time {
    double best, median;
};

inline Time measure(const std::function<double()>& run, int repeats) {
    std::vector<double> times;
    for (int i = 0; i < repeats + 2; ++i) {
        const double t = run();
        if (i >= 2) times.push_back(t);  // the first two warm up
    }
    std::sort(times.begin(), times.end());
    return {1e3 * times.front(), 1e3 * times[times.size() / 2]};
}

}  // namespace fmgs::bench
