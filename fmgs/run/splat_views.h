#pragma once
/// Drawing splat files.
#include <fmgs/core/io/splat_file.h>

namespace fmgs {

/// color, alpha, depth and normal of Gaussians for this camera, on the CPU, without gradient.
Maps draw(const Splats& splats, const Camera& camera);

/// `count` cameras of size² pixels on a circle about `up` ([3], unit) around the surfels, which
/// look at the middle of them, a little from above, from where nearly all of them are seen.
std::vector<Camera> turntable(const PosedSurfels& surfels, const torch::Tensor& up, int64_t count,
                              int64_t size);

}  // namespace fmgs
