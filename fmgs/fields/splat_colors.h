#pragma once
/// The colour of Gaussians of a splat file, which depends on where they are seen from.
#include <fmgs/core/io/splat_file.h>

namespace fmgs {

/// max(0, 1/2 + Σ_k Y_k(d) h_k) for each Gaussian, d the unit direction from the camera to its
/// centre, in the world's axes: [N,3]; values above 1 stay.
torch::Tensor splat_colors(const Splats& splats, const Camera& camera);

}  // namespace fmgs
