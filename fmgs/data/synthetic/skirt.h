#pragma once
/// A bell that hangs from the waist to the knees: what no template along the body's normals
/// follows.
#include <fmgs/core/body_model.h>

namespace fmgs::detail {

/// A sheet in the body's canonical pose, outside facing out, open at both ends.
struct Skirt {
    Mesh canonical;
    torch::Tensor rest;     ///< [V,3] where it hangs in the T-pose, metres
    torch::Tensor weights;  ///< [V,J] skinning: with the hips, and between them smooth
    torch::Tensor unseen;   ///< [F] bool: faces of the body that it hides in any pose
};

/// Around a body in SMPL's numbering, whose legs it is wide enough for when they walk. The rings
/// and sides of the sheet double with each subdivision. rest: [V,3], faces: [F,3] of the body that
/// it hangs on.
Skirt skirt(const BodyModelImpl& body, const torch::Tensor& rest, const torch::Tensor& faces,
            int64_t subdivisions);

}  // namespace fmgs::detail
