#pragma once
/// From the vertices of MHR, the body of SAM 3D Body, to those of SMPL.
#include <torch/types.h>

#include <filesystem>

namespace fmgs::detail {

/// MHR's body at level of detail 1.
constexpr int64_t kMhrVertices = 18439;
constexpr int64_t kSmplVertices = 6890;

/// Barycentric map: SMPL's vertex i = Σ_k weights[i,k] · MHR's vertex corners[i,k].
struct MhrMap {
    torch::Tensor corners;  ///< [6890,3] int64
    torch::Tensor weights;  ///< [6890,3]
    /// [18439,3] → [6890,3]
    torch::Tensor apply(const torch::Tensor& vertices) const;
};

/// Reads mhr2smpl_mapping.npz (triangle_ids, baryc_coords) and the triangles of mhr_lod1_mesh.ply,
/// as github.com/facebookresearch/MHR has them, from `folder`. Error: one is missing, or no such
/// map.
MhrMap read_mhr_map(const std::filesystem::path& folder);

}  // namespace fmgs::detail
