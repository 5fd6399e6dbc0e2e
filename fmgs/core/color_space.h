#pragma once
/// Colours as pictures have them, and as light.
#include <torch/types.h>

namespace fmgs {

/// sRGB in [0,1], of any shape → linear light (IEC 61966-2-1), as glTF has the colours of vertices.
inline torch::Tensor linear_color(const torch::Tensor& srgb) {
    const auto x = srgb.clamp(0, 1);
    return torch::where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055).pow(2.4));
}

/// Linear light ≥ 0, of any shape → sRGB; light above 1 stays above 1.
inline torch::Tensor srgb_color(const torch::Tensor& linear) {
    constexpr double kKnee = 0.0031308;
    // The power is taken of the knee at least: its slope at 0 is infinite.
    return torch::where(linear <= kKnee, 12.92 * linear,
                        1.055 * linear.clamp_min(kKnee).pow(1 / 2.4) - 0.055);
}

}  // namespace fmgs
