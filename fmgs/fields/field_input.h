#pragma once
/// What every field of the avatar is given.
#include <fmgs/core/random.h>
#include <fmgs/core/surfels.h>
#include <fmgs/fields/located_points.h>

#include <optional>

namespace fmgs {

/// A field takes what it needs and leaves the rest. N surfels.
struct FieldInput {
    /// The centres of the surfels, which never move (eq. 2): `volume->forward(input.at)` is V(μ).
    LocatedPoints at;
    /// [N,3] canonical positions, metres: μ for the geometry, μ′ (eq. 4) for the others. Carries a
    /// gradient for fields that read the posed surfel, where the route opens the position.
    torch::Tensor position;
    /// [16] Z_p
    torch::Tensor pose_code;
    /// [N,16] z_g; [N,0] without a geometry field, undefined for the geometry field itself
    torch::Tensor geometry_code;
    /// [N,3] unit view direction, carried back to the canonical frame; no gradient. Undefined, as
    /// the eye is, for the geometry and for plain features, which look the same from everywhere.
    torch::Tensor direction;
    /// [3] centre of the camera in the world, metres; no gradient
    torch::Tensor eye;
    /// what the appearance's layers() gave; empty for all but its colour
    Maps layers;
    /// the draws of a training step; none when the avatar is only drawn
    std::optional<Random> random;
    /// step / steps of the training, for what starts later; 1 when the avatar is only drawn
    double progress = 1;
    /// The posed surfel with centre, normal and T, without features, for fields whose reads_posed()
    /// is true; else null.
    const PosedSurfels* posed = nullptr;
};

}  // namespace fmgs
