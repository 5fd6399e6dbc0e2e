#pragma once
/// How far apart two surfaces are.
#include <fmgs/core/mesh.h>

#include <vector>

namespace fmgs {

/// Exact distances to a triangle mesh, by a grid over its triangles.
class SurfaceDistance {
  public:
    /// Error: no face, an index that is out of range, a vertex that is not finite.
    explicit SurfaceDistance(const Mesh& mesh);
    /// Distance of points [P,3] to the nearest point of any triangle, [P] double, metres. Error: a
    /// point that is not finite.
    torch::Tensor operator()(const torch::Tensor& points) const;

  private:
    double nearest(const double* point) const;
    int64_t cell(int axis, double coordinate) const;

    torch::Tensor corners_;  // [F,3,3] double
    double low_[3] = {}, side_ = 1;
    int64_t size_[3] = {1, 1, 1};             // cells along each axis
    std::vector<int64_t> first_, triangles_;  // of cell c: triangles_[first_[c] … first_[c+1])
};

/// The mesh with every vertex moved by the mean of `moved` [F,3] over the faces that it is of: a
/// template carried along by the surfels of its faces.
Mesh carried(const Mesh& mesh, const torch::Tensor& moved);

/// A reconstruction against the true surface, both sampled by area with a fixed seed; nothing is
/// aligned.
struct SurfaceErrors {
    double chamfer;  ///< mean of the two mean distances, ours → true and true → ours, metres
    double point_to_surface;  ///< mean distance true → ours, metres
    /// harmonic mean of the shares of samples, of ours and of the true, within 1 cm of the other
    double f_1cm;
};
SurfaceErrors surface_errors(const Mesh& mesh, const Mesh& truth, int64_t samples = 5000);

}  // namespace fmgs
