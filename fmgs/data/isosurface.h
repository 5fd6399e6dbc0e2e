#pragma once
/// The zero surface of a signed distance as one triangle mesh (surface nets, Gibson 1998).
#include <fmgs/core/mesh.h>

#include <array>
#include <functional>

namespace fmgs::detail {

using Point3 = std::array<double, 3>;
using Distance = std::function<double(const Point3&)>;  ///< negative inside

/// `distance` is sampled on a grid of cubes of size `cell` over [low,high], which must hold the
/// surface. One vertex per cube that the surface passes, relaxed along the surface and put back on
/// it. vertices [V,3] float64, counter-clockwise from outside.
Mesh isosurface(const Distance& distance, const Point3& low, const Point3& high, double cell);

/// The vertices that share an edge with each vertex.
std::vector<std::vector<int64_t>> vertex_neighbours(const torch::Tensor& faces, int64_t count);

}  // namespace fmgs::detail
