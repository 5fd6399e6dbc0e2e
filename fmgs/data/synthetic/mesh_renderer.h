#pragma once
/// A z-buffer renderer of triangle meshes, independent of the surfel rasterizer: what it draws is a
/// check on the other.
#include <fmgs/core/mesh.h>
#include <fmgs/core/types.h>

#include <array>
#include <functional>

namespace fmgs {

/// Per sample of an image the nearest triangle, the place in it and the depth. Row-major,
/// `samples`² per pixel.
struct Fragments {
    int64_t width = 0, height = 0;  ///< in samples
    std::vector<int32_t> face;      ///< row of the mesh's faces; -1 where nothing is hit
    std::vector<float> u,
        v;  ///< perspective-correct barycentric weights of corners 1 and 2 (corner 0 has 1-u-v)
    std::vector<float> depth;  ///< camera z, metres; 0 where nothing is hit
};

/// Draws both sides of every triangle. Sample (i, j) looks through the pixel coordinate
/// ((i+0.5)/samples, (j+0.5)/samples), so an odd number has one sample at each pixel's centre. The
/// place in a triangle solves [A B C] b = t·d for the corners A, B, C in the camera frame and the
/// ray d = ((x-cx)/fx, (y-cy)/fy, 1); nothing closer than camera.near is drawn. mesh: world frame,
/// metres. Error: a face names a vertex that is not there.
Fragments draw_mesh(const Mesh& mesh, const Camera& camera, int64_t samples = 3);

/// Unit normals of the vertices [V,3]: the faces' normals weighted by area (zero for a vertex of no
/// face).
torch::Tensor vertex_normals(const Mesh& mesh);

/// A place on the mesh, as a shader sees it.
struct SurfacePoint {
    int32_t face = 0;
    std::array<float, 3> barycentric{};
    std::array<float, 3> normal{};  ///< unit, world frame, on the side of the viewer
};

/// What is seen there. Labels start at 1; 0 is the background.
struct SurfaceLook {
    std::array<float, 3> color{};  ///< [0,1]
    int64_t label = 1;
};

using SurfaceShader = std::function<SurfaceLook(const SurfacePoint&)>;

/// Renders with samples² samples per pixel (an odd number): color [3,H,W] on black, the mean of all
/// samples; mask [1,H,W] 0 or 1, at least half the samples hit; depth [1,H,W] metres, normal
/// [3,H,W] (camera frame, facing the viewer) and semantic [H,W] int64 of the pixel's centre, or of
/// the sample nearest to it where the centre misses; zero outside the mask. normals: [V,3] at the
/// vertices, world frame.
Maps render_mesh(const Mesh& mesh, const torch::Tensor& normals, const Camera& camera,
                 const SurfaceShader& shader, int64_t samples = 3);

}  // namespace fmgs
