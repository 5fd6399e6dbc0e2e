#pragma once
/// A person's poses, whatever program wrote them: fits of a video, recorded motion, our own files.
#include <fmgs/core/types.h>

#include <filesystem>
#include <optional>

namespace fmgs {

class Body;

/// What the translations of a file are the place of. R is the root's rotation, J0 joint 0 at rest.
enum class Place {
    kSmpl,    ///< SMPL's transl: x = R (v - J0) + J0 + transl
    kRoot,    ///< joint 0 itself: x = R (v - J0) + transl
    kOrigin,  ///< the origin of the resting body (EasyMocap's Rh and Th): x = R v + transl
    kHips     ///< the middle of the two hip joints (WHAM's world)
};

/// The pinhole camera that a fit was made with. A fitter that was given none invents a focal length
/// from the size of the picture, and the fit holds with that one only.
struct FitCamera {
    torch::Tensor intrinsics;       ///< [4] or [F,4] fx fy cx cy, pixels; undefined: by the rule
    int64_t width = 0, height = 0;  ///< pixels, 0 where the fit does not tell
    double focal_per_longer = 0;    ///< rule: focal length / longer side of the picture
    double focal_per_diagonal = 0;  ///< rule: focal length / diagonal of the picture
    std::string origin;             ///< where it comes from, a phrase
    /// fx fy cx cy of row i [4] for a picture of this size; the centre of the first pixel at 0.5.
    /// Error when the fit states another size.
    torch::Tensor intrinsics_of(int64_t row, int64_t picture_width, int64_t picture_height) const;
};

/// Poses of one person as they lie in a file: axis-angle in radians, metres. F rows, all finite.
struct PoseFile {
    std::string layout;           ///< what was recognised, one phrase
    torch::Tensor betas;          ///< [B], or undefined when the file has none
    torch::Tensor global_orient;  ///< [F,3]
    /// [F,3k]; k joints after the root, hands left out where the file has fingers
    torch::Tensor body_pose;
    torch::Tensor transl;  ///< [F,3], the place that `place` says
    /// [F,E] coefficients of SMPL-X's or FLAME's expressions; undefined: none. Kept, nothing uses
    /// them.
    torch::Tensor expression{};
    std::vector<std::string> names;  ///< of the frames where the file has them, else empty
    std::vector<int64_t> frame_ids;  ///< ascending, holes allowed; empty: 0, 1, 2, …
    double fps = 30;
    bool has_fps = false;  ///< whether the file, or its kind, says so
    /// "y", "z" or "-y"; empty when the file does not say and its kind does not tell
    std::string up_axis;
    Place place = Place::kSmpl;
    /// [F,4,4] where every row has a space of its own: it takes SMPL's space to the camera
    torch::Tensor extrinsic;
    std::optional<FitCamera> camera;
    std::vector<std::string> notes;  ///< what was decided or left out

    int64_t count() const { return global_orient.size(0); }
    /// Row i for a body of `joint_count` joints; joints that the file does not have keep the rest
    /// pose. Error unless transl is SMPL's.
    BodyPose pose(int64_t i, int64_t joint_count) const;
    /// The same poses with SMPL's transl, for a body whose joints rest at `joints` [J,3] with the
    /// file's betas; nothing is left of `extrinsic`.
    PoseFile with_smpl_transl(const torch::Tensor& joints) const;
};

struct PoseFileOptions {
    /// which of several persons, by the number that the file gives them, else counted from 0; -1:
    /// the one seen in most frames
    int64_t person = -1;
    /// where a file has the poses in the world and in the camera: the world's, which drive an
    /// avatar, instead of the camera's, which belong to pictures
    bool world = false;
    /// what the vertices of SAM 3D Body are fitted by, and whose joints bone matrices turn; a file
    /// of these kinds needs it
    const Body* body = nullptr;
    /// mhr2smpl_mapping.npz and mhr_lod1_mesh.ply, which carry those vertices to SMPL's mesh;
    /// empty: beside the file
    std::filesystem::path mhr_folder{};
};

/// Recognises what is listed in docs/data_layouts.md, "Poses and motions", by the keys inside; a
/// folder is read as one file per frame. Error: nothing recognised, counts that do not match, not
/// finite, another number of joints, no such person, lengths that cannot be metres; the message
/// names file, key and row.
PoseFile read_pose_file(const std::filesystem::path& file, const PoseFileOptions& options = {});
/// Whether a file holds bone matrices [F,J,4,4], for which read_pose_file needs the body; no array
/// is unpacked.
bool has_bone_matrices(const std::filesystem::path& file);
/// The library's own layout: betas [1,B] where there are any, global_orient [F,3], body_pose
/// [F,3(J-1)], transl [F,3], frame_names, and expression [F,E] where there is one, float32. fps and
/// up_axis are not written.
void write_pose_file(const std::filesystem::path& file, const PoseFile& poses);

}  // namespace fmgs
