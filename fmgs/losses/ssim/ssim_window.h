#pragma once
/// The constants of SSIM, for every backend. C++17, no torch.
#include <array>
#include <cmath>
#include <cstddef>

namespace fmgs::detail {

constexpr int kSsimRadius = 5;
constexpr double kSsimSigma = 1.5, kSsimC1 = 1e-4, kSsimC2 = 9e-4;

/// The Gaussian at this distance, before the window is normalised.
inline double ssim_gaussian(int distance) {
    return std::exp(-0.5 * double(distance * distance) / (kSsimSigma * kSsimSigma));
}

/// Over the 2·kSsimRadius + 1 taps.
inline double ssim_window_sum() {
    double sum = 0;
    for (int k = -kSsimRadius; k <= kSsimRadius; ++k) sum += ssim_gaussian(k);
    return sum;
}

/// The weights of the window by distance from its centre.
inline std::array<double, kSsimRadius + 1> ssim_window() {
    std::array<double, kSsimRadius + 1> window{};
    const double sum = ssim_window_sum();
    for (int k = 0; k <= kSsimRadius; ++k) window[static_cast<size_t>(k)] = ssim_gaussian(k) / sum;
    return window;
}

}  // namespace fmgs::detail
