#include <fmgs/fields/splat_colors.h>

#include <fmgs/core/check.h>
#include <fmgs/fields/appearance.h>
#include <torch/types.h>

namespace fmgs {

torch::Tensor splat_colors(const Splats& splats, const Camera& camera) {
    const auto& h = splats.harmonics;
    check_shape(splats.surfels.center, {-1, 3}, "center");
    check_shape(h, {splats.surfels.center.size(0), -1, 3}, "harmonics");
    auto color = 0.5 + kHarmonicsConstant * h.select(1, 0);
    if (const int64_t rest = h.size(1) - 1; rest > 0) {
        const auto d = splats.surfels.center - camera.center();
        const auto basis = spherical_harmonics(d / d.norm(2, 1, true).clamp_min(1e-12));
        color = color + (basis.slice(1, 0, rest).unsqueeze(2) * h.slice(1, 1)).sum(1);
    }
    return color.clamp_min(0);
}

}  // namespace fmgs
