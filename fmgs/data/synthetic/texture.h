#pragma once
/// Colours of the synthetic subject: patterns that are functions of the place in the T-pose.
#include <array>
#include <cstdint>

namespace fmgs::detail {

/// Places on the resting body that patterns are fixed to, metres.
struct Landmarks {
    std::array<float, 3> chest{}, head{}, left_shoulder{}, left_knee{}, left_ankle{};
    float crown = 0;  ///< height of the top of the head
};

/// Reflectance in [0,1] of the cloth, hair or skin of Sapiens class `label` at the T-pose position
/// `x` (y up, facing +z).
std::array<float, 3> reflectance(int64_t label, const std::array<float, 3>& x, const Landmarks& at);

}  // namespace fmgs::detail
