#pragma once
/// Skinning weights of a surface, carried out into the space around it.
#include <torch/types.h>

namespace fmgs {

/// Values on the nodes of a regular grid over a box.
struct Volume {
    torch::Tensor values;  ///< [C,R,R,R]: channel, then the node along z, y and x
    torch::Tensor box;     ///< [2,3]: where the first and the last node lie, metres
};

/// The values [N,C] of a volume at x [N,3], trilinear; outside of the box those of its border. The
/// gradient to x is that of the interpolation.
torch::Tensor sample(const Volume& volume, const torch::Tensor& x);

/// What of the diffusion is given and how far it is carried.
struct DiffusionOptions {
    int64_t resolution = 64;  ///< nodes along each axis, 4 or more
    /// of the equations that are left: the largest, in units of the weights
    double tolerance = 1e-5;
    int64_t iterations = 1000;  ///< at most, of each of the grids
};

/// Harmonic weights (Laplace's equation, of the 7-point stencil): nodes that are nearest to a point
/// of the surface keep the mean of those points' weights, in all others a weight is the mean of its
/// neighbours'; nothing flows across the border of the box. So weights stay within [0,1], add up to
/// one, and change least along the normal of a surface. By conjugate gradients for all joints at
/// once, begun on coarser grids. points: [Q,3], as dense as the nodes or denser; weights: [Q,J],
/// rows sum to one; box: [2,3]. Error: shapes, no point, a point outside of the box, a grid too
/// small, or equations that do not converge.
Volume diffuse_weights(const torch::Tensor& points, const torch::Tensor& weights,
                       const torch::Tensor& box, const DiffusionOptions& options = {});

}  // namespace fmgs
