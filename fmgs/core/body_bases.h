#pragma once
/// The blendshapes of a body on its canonical template.
#include <fmgs/core/body_model.h>

namespace fmgs {

/// Linear bases: how the vertices of the canonical template move, metres per unit of a coefficient.
struct BodyBases {
    torch::Tensor shape{};  ///< [V,3,B] of the betas; undefined: not known
    torch::Tensor betas{};  ///< [B] of the template as it is
    torch::Tensor pose{};   ///< [V,3,9(J-1)] of the entries of R_j - I, j = 1…J-1; zero: has none
};

/// Those of a BodyModel, its directions turned as the canonical pose turns the vertices; a shape
/// only where it was kept. Any other body has none.
BodyBases bases_of(const Body& body);

/// The same body with the shape directions [V,3,B] of its file kept for bases_of(), as the buffer
/// `shape_directions`. Error: they do not fit the body.
BodyModel with_shape(const BodyModel& body, const torch::Tensor& shape_directions);

}  // namespace fmgs
