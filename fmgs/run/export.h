#pragma once
/// Taking an avatar out: its surfels and poses in a world that other programs expect.
#include <fmgs/baked_file.h>
#include <fmgs/core/io/splat_file.h>
#include <fmgs/data/gltf/skinned_glb.h>
#include <fmgs/data/motion.h>

#include <functional>

namespace fmgs {

/// Up and front of a world: "y" (glTF: the person faces +z), "-y" (OpenCV and 3DGS: -z), "z"
/// (AMASS, Blender: -y).
struct ExportAxes {
    torch::Tensor up, front;  ///< [3] unit
    /// Error, which lists them, for another name.
    static ExportAxes of(const std::string& name);
    /// [3,3] from the axes of the resting body (y up, facing z).
    torch::Tensor turn() const;
};

/// Poses of the avatar in a world, and how many a second.
struct ExportPoses {
    std::vector<BodyPose> poses;
    double fps = 30;
};
/// The poses of a motion, or, without one, of the training frames, every `stride`-th: upright, so
/// that the first one stands on the floor through the origin and faces the front.
ExportPoses export_poses(const SavedBaked& saved, const Motion* motion, int64_t stride,
                         const ExportAxes& axes);
/// The same in the world of the capture: training frames as they are, a motion where and as
/// `render` shows it.
ExportPoses capture_poses(const SavedBaked& saved, const Motion* motion, int64_t stride);

/// The mean surfels in the canonical pose, turned to these axes.
PosedSurfels canonical_surfels(const BakedAvatar& avatar, const ExportAxes& axes);

/// The avatar as a mesh: its template, moved out by the surfels' mean offsets (at a vertex the mean
/// of its faces, by area, as are the skinning weights), each face in the mean colour of its surfel;
/// bound in the canonical pose, with these poses, y up, as its motion. What depends on the pose is
/// left out.
SkinnedMesh skinned_mesh(const BakedAvatar& avatar, const ExportPoses& poses);

/// Replaces FOLDER, which must not be there or be empty, by frame0001.ply, … of these poses:
/// whole, or as it was. `shown` is called with the number of files that are done. Error: the folder
/// holds something; disk full.
void write_splat_sequence(const std::filesystem::path& folder, const BakedAvatar& avatar,
                          const ExportPoses& poses, const SplatFileOptions& options,
                          const std::function<void(int64_t)>& shown);
/// Error as above, before anything is made.
void check_sequence_folder(const std::filesystem::path& folder);

/// Replaces an .npz: bone_index int64 [N,4], bone_weight float32 [N,4], joint_names [J], parents
/// int64 [J], joints float32 [J,3] (at rest, metres), and, where the avatar knows them, labels
/// int64 [N] with label_names. Row i is vertex i of a .ply that was written of this avatar.
void write_surfel_data(const std::filesystem::path& file, const SavedBaked& saved);

}  // namespace fmgs
