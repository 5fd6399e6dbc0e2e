#pragma once
/// The pose of a body whose vertices are known: what makes a fit of another body, or a mesh
/// sequence, drive ours.
#include <fmgs/core/body.h>

#include <optional>

namespace fmgs {

struct PoseFit {
    BodyPose pose;        ///< rotations [J,3,3] and SMPL's transl [3], float32
    double residual = 0;  ///< root mean square distance of the vertices, metres
    int64_t steps = 0;    ///< Gauss–Newton steps that were taken
};

/// The pose in which the body's vertices under linear blend skinning come closest to `vertices`
/// [V,3] (metres, vertex i of the body goes to row i), by least squares. First each bone by itself,
/// rigidly (Kabsch), down the tree; then Gauss–Newton with Levenberg's damping over all rotations
/// and the translation. `start`: a pose to begin with instead, e.g. that of the frame before.
/// Joints that move no vertex keep their parent's turn. Error: another number of vertices, not
/// finite, no weights.
PoseFit fit_pose(const Body& body, const torch::Tensor& vertices,
                 const std::optional<BodyPose>& start = std::nullopt);

}  // namespace fmgs
