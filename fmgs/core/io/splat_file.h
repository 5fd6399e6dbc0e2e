#pragma once
/// Splat files: the .ply of 3D Gaussian splatting and of 2D Gaussian splatting, which every viewer
/// of Gaussians opens.
#include <fmgs/core/surfels.h>

#include <filesystem>

namespace fmgs {

/// Gaussians of a file as surfels. Lengths are in the file's unit, of which it says nothing.
struct Splats {
    PosedSurfels surfels;  ///< without features; seen from both sides alike
    /// [N,K,3] coefficients of spherical harmonics, K = (degree+1)², degree 0 to 3: red, green and
    /// blue are max(0, 1/2 + Σ_k Y_k(d) h_k), d the unit direction from the camera to the centre
    torch::Tensor harmonics;
    std::string description;  ///< "2D Gaussians, 12 surfels, spherical harmonics of degree 0"
    std::vector<std::string> notes;  ///< what was left out or cannot be shown as it was meant
};

/// The Gaussians of a .ply of 3DGS or 2DGS: ascii or binary of either byte order, in any order of
/// properties, `opacity` as logit, `scale_*` as logarithm, `rot_*` as w, x, y, z of any length.
/// A file without scale_2, or with the comment `SplatRenderMode: 2dgs`, holds surfels with the
/// tangents of its first two axes. Other Gaussians become the surfel across their thinnest axis,
/// which the description says; how many are not thin is a note. Rows that are not finite are left
/// out. Error, with what the file holds instead: a mesh, a point cloud, a compressed file, a count
/// of f_rest that is no degree, no row that is finite.
Splats read_splats(const std::filesystem::path& file);

struct SplatFileOptions {
    bool comment = true;  ///< write the comment that tells 2D from 3D Gaussians
    /// write scale_2, log 1e-6, which most viewers need; 2DGS itself has none
    bool third_scale = true;
};

/// Replaces `file` by these surfels with their feature `color` [N,3] as 2DGS writes them: binary,
/// little endian, the normal in nx, ny, nz, and colour as harmonics of degree 0. Sheared tangents,
/// which skinning makes, are written as the axes of the same ellipse; read_splats gives surfels
/// that look the same. Error: shapes, nothing finite to write, disk full.
void write_splats(const std::filesystem::path& file, const PosedSurfels& surfels,
                  const SplatFileOptions& options = {});

/// The frame of a surfel with perpendicular tangents.
struct EllipseFrames {
    torch::Tensor rotation;    ///< [N,3,3] columns t_u, t_v, n, a rotation
    torch::Tensor quaternion;  ///< [N,4] the same as w, x, y, z, unit
    torch::Tensor scale;       ///< [N,2] semi-axes, σ; the larger one first
};
/// Of tangents [N,3,2] of any angle: the Gaussian exp(-½(u² + v²)) at c + u a + v b has the same
/// ellipse whatever rotation in the plane of (u, v) is applied to [a b]; one of them makes the two
/// perpendicular. n is along a × b. Double precision; a surfel without an area gets any frame that
/// holds its longer axis.
EllipseFrames ellipse_frames(const torch::Tensor& tangents);

/// The constant of spherical harmonics, √(1/4π).
inline constexpr double kHarmonicsConstant = 0.28209479177387814;

}  // namespace fmgs
