#pragma once
/// Gaussians as glTF: the extension KHR_gaussian_splatting.
#include <fmgs/core/surfels.h>

#include <filesystem>

namespace fmgs {

/// Replaces `file` by a .glb of these surfels with their feature `color` [N,3]: points with
/// rotations x, y, z, w, standard deviations (the third 1e-6 m) and opacities as such, colour as
/// harmonics of degree 0, and COLOR_0 for readers that draw the points alone. The surfels have y
/// up, as glTF has it. Error: shapes, values that are not finite, disk full.
void write_splat_glb(const std::filesystem::path& file, const PosedSurfels& surfels);

}  // namespace fmgs
