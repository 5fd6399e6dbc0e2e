#pragma once
/// A body that needs no file: an adult made of smoothly joined cones, in SMPL's key layout with
/// SMPL's 24 joints and tree.
#include <fmgs/core/body_model.h>

namespace fmgs {

struct ProceduralBodyOptions {
    /// metres, the grid that the surface is taken from: about 7,000 vertices (halving it: four
    /// times as many)
    double cell = 0.0182;
    /// rounds that spread the skinning weights over the surface, one edge each
    int smoothing = 12;
};

/// T-pose, metres, y up, facing +z, arms along x (left = +x), about 1.7 m tall; one closed
/// manifold, outward, deterministic. weights: at most 4 per vertex. Shape directions [V,3,6]:
/// height, girth, leg length, arm length, belly, shoulder width. No pose directions. Error when
/// `cell` is too coarse or too fine for a closed surface.
BodyData procedural_body(const ProceduralBodyOptions& options = {});

/// Each vertex's body part in Sapiens' 28 classes, [V] int64: 2 face and neck, 3 hair, 21 torso,
/// and left/right (the body's own) hand 5/14, lower arm 6/15, upper arm 10/19, upper leg 11/20,
/// lower leg 7/16, foot 4/13. For any body of SMPL's 24 joints, else an Error.
torch::Tensor body_part_labels(const BodyData& body);

}  // namespace fmgs
