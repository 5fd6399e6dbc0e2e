#pragma once
/// Triangle meshes: subdivision, face frames, edges, adjacency, sampling.
#include <torch/types.h>

#include <filesystem>
#include <vector>

namespace fmgs {

/// A triangle mesh, counter-clockwise from outside.
struct Mesh {
    torch::Tensor vertices;  ///< [V,3] metres
    torch::Tensor faces;     ///< [F,3] int64
};

/// One midpoint subdivision, 1 → 4 faces, with what carries vertex attributes over: new vertex e
/// lies between the two parents.
struct Subdivision {
    Mesh mesh;
    torch::Tensor parents;  ///< [V',2] int64; old vertices name themselves twice
};
Subdivision subdivide(const Mesh& mesh);

/// Barycentres [F,3], frames [F,3,3] with columns t_u, t_v, n (t_u along the major axis of the
/// Steiner ellipse, n outward, right-handed), and scales [F,2]: the semi-axes of the Steiner
/// circum-ellipse, metres.
struct FaceFrames {
    torch::Tensor center, rotation, scale;
};
FaceFrames face_frames(const Mesh& mesh);

/// Unit face normals [F,3] (zero for a degenerate face).
torch::Tensor face_normals(const Mesh& mesh);
/// Undirected edges [E,2] int64, each once, rows and columns sorted.
torch::Tensor unique_edges(const torch::Tensor& faces);
/// The faces on both sides of every edge that has two: [S,2] int64 (of one with more, each and the
/// next).
torch::Tensor adjacent_faces(const torch::Tensor& faces);
/// Is every edge shared by exactly two faces, once in each direction?
bool is_closed_manifold(const torch::Tensor& faces);
/// The k nearest rows of each row by Euclidean distance, itself left out, nearest first: points
/// [N,3] → [N,k] int64.
torch::Tensor nearest_neighbours(const torch::Tensor& points, int64_t k);

/// Points uniform by area: face [n] int64 and barycentric weights [n,3].
struct SurfaceSamples {
    torch::Tensor face, barycentric;
};
SurfaceSamples sample_surface(const Mesh& mesh, int64_t count, at::Generator generator);

/// The same for a mesh that is sampled again and again: its areas are added up once. On a GPU
/// nothing is read back, neither here nor in a draw, so that a mesh without area shows on a CPU
/// alone, as an Error.
class SurfaceSampler {
  public:
    explicit SurfaceSampler(const Mesh& mesh);
    SurfaceSamples sample(int64_t count, at::Generator generator) const;

  private:
    torch::Tensor total_;  // [F] double: twice the area of the faces up to each, m²
    torch::TensorOptions faces_, vertices_;
};
/// Σ_k barycentric_k · values[faces[face,k]]: vertex values [V,D] → [n,D].
torch::Tensor interpolate(const SurfaceSamples& samples, const torch::Tensor& faces,
                          const torch::Tensor& values);

/// Wavefront OBJ (positions and triangulated faces). Errors name file and line.
Mesh read_obj(const std::filesystem::path& file);
void write_obj(const std::filesystem::path& file, const Mesh& mesh);

}  // namespace fmgs
