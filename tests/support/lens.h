#pragma once
/// A scene seen through a lens: OpenCV's model written out, and what a camera with it photographs.
#include <torch/types.h>

#include <array>
#include <cmath>
#include <vector>

#include "support/test.h"

namespace fmgs::test {

constexpr int64_t kLensHeight = 48, kLensWidth = 64;

/// OpenCV's model, written out: where the lens puts the undistorted point (x, y).
inline std::array<double, 2> distorted(const std::vector<double>& d, double x, double y) {
    const auto k = [&](size_t i) { return i < d.size() ? d[i] : 0.0; };
    const double r2 = x * x + y * y, r4 = r2 * r2, r6 = r4 * r2;
    const double radial =
        (1 + k(0) * r2 + k(1) * r4 + k(4) * r6) / (1 + k(5) * r2 + k(6) * r4 + k(7) * r6);
    return {x * radial + 2 * k(2) * x * y + k(3) * (r2 + 2 * x * x),
            y * radial + k(2) * (r2 + 2 * y * y) + 2 * k(3) * x * y};
}

/// The other way round, by a fixed point.
inline std::array<double, 2> undistorted(const std::vector<double>& d, double x, double y) {
    double u = x, v = y;
    for (int i = 0; i < 200; ++i) {
        const auto [a, b] = distorted(d, u, v);
        u += x - a;
        v += y - b;
    }
    return {u, v};
}

/// A smooth scene; f is a function of the undistorted pixel.
template <class F>
torch::Tensor pixels(F&& f) {
    auto out = torch::empty({1, kLensHeight, kLensWidth});
    auto at = out.accessor<float, 3>();
    for (int64_t i = 0; i < kLensHeight; ++i)
        for (int64_t k = 0; k < kLensWidth; ++k)
            at[0][i][k] =
                static_cast<float>(f(static_cast<double>(k) + 0.5, static_cast<double>(i) + 0.5));
    return out;
}

inline double scene(double u, double v) { return 0.5 + 0.3 * std::sin(u / 9) * std::cos(v / 7); }
inline double disc(double u, double v) { return std::hypot(u - 30, v - 25) < 14 ? 1 : 0; }

/// What the camera with this lens takes of it.
template <class F>
torch::Tensor photograph(const std::vector<double>& d, F&& f) {
    return pixels([&](double u, double v) {
        const auto [x, y] = undistorted(d, (u - 30.5) / 50, (v - 26) / 52);
        return f(50 * x + 30.5, 52 * y + 26);
    });
}

}  // namespace fmgs::test
