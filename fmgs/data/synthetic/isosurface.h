#pragma once
/// The zero surface of a signed distance as one triangle mesh (surface nets, Gibson 1998).
#include <fmgs/core/mesh.h>

#include <array>
#include <functional>

namespace fmgs::detail {

using Point3 = std::array<double, 3>;
using Distance = std::function<double(const Point3&)>;  ///< negative inside

/// `distance` is sampled on a grid of cubes of size `cell` over [low,high], which must hold the
/// surface. One vertex per cube that the surface passes. vertices [V,3] float64, counter-clockwise
/// from outside. Not a manifold where two sheets meet in one cube.
Mesh isosurface(const Distance& distance, const Point3& low, const Point3& high, double cell);

/// Evens out the triangles: each round moves every vertex half way to the mean of its neighbours
/// and back onto the surface.
Mesh relaxed(const Mesh& mesh, const Distance& distance, double cell, int rounds = 8);

/// The vertices that share an edge with each vertex.
std::vector<std::vector<int64_t>> vertex_neighbours(const torch::Tensor& faces, int64_t count);

}  // namespace fmgs::detail
