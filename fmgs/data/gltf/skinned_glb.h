#pragma once
/// A skinned mesh with a texture and an animation as glTF: what Blender, Unity and Unreal open.
#include <fmgs/core/mesh.h>

#include <filesystem>
#include <string>
#include <vector>

namespace fmgs {

/// A mesh bound to J joints, and how they move over T frames. Metres, y up.
struct SkinnedMesh {
    Mesh mesh;                       ///< in the pose in which it is bound
    torch::Tensor face_color;        ///< [F,3] sRGB in [0,1]
    torch::Tensor weights;           ///< [V,J]; the four largest of a vertex are kept
    torch::Tensor parents;           ///< [J] int64, parents[0] = -1, parents[j] < j
    torch::Tensor bind;              ///< [J,4,4] joint → world in that pose, rigid
    std::vector<std::string> names;  ///< of the joints
    torch::Tensor frames;            ///< [T,J,4,4] joint → world in each frame; undefined: none
    double fps = 30;                 ///< of the frames
    std::string note;                ///< for whoever opens the file
};

/// Replaces `file` by a .glb: the mesh with a texture of flat faces, drawn without lighting, which
/// is in its colours (KHR_materials_unlit); four influences a vertex, renormalised; a skeleton at
/// rest in the pose of the mesh; the frames as an animation "motion" of rotations, and of
/// translations where they change. Every face has vertices of its own, for its texture. Error:
/// shapes, values that are not finite, no OpenCV (for the texture), disk full.
void write_skinned_glb(const std::filesystem::path& file, const SkinnedMesh& mesh);

/// A picture in which every face of a mesh has a triangle of its own.
struct FaceAtlas {
    torch::Tensor image;  ///< [3,H,W] in [0,1]
    torch::Tensor uv;     ///< [F,3,2] of each corner, in [0,1], v downwards
};
/// Flat colours [F,3]: two faces share a square of four by four texels, with texels between them
/// that neither reads, so that linear filtering stays within a face.
FaceAtlas face_atlas(const torch::Tensor& face_color);

}  // namespace fmgs
