#pragma once
/// The lights of the synthetic captures.
#include <torch/types.h>

#include <array>
#include <string>
#include <vector>

namespace fmgs {

/// A light that is the same everywhere, and lamps infinitely far away. World axes: x right, y down,
/// z away from the first camera.
struct SyntheticLight {
    using Color = std::array<float, 3>;
    struct Lamp {
        std::array<float, 3> towards;  ///< unit, from the person to the lamp
        float strength;
        Color color;
    };
    Color ambient;
    std::vector<Lamp> lamps;

    /// What it makes of white cloth with this normal [3] (unit, world): ambient + Σ strength ·
    /// color · max(0, towards · normal).
    Color on(const std::array<float, 3>& normal) const;
    /// The same light as an equirectangular picture of radiance [H,2H,3], its middle what the first
    /// camera looks at: a lamp is spread over four pixels. white cloth = Σ L max(0, n·ω) dω / π.
    torch::Tensor picture(int64_t rows = 64) const;
};

/// A: bright at the left front from above, a weaker lamp at the right back. B: a low warm one at
/// the right, a cold one at the left back, and little else. Error for any other name.
SyntheticLight synthetic_light(const std::string& name);

}  // namespace fmgs
