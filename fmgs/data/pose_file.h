#pragma once
/// Rows of SMPL-style poses from an .npz, whatever its writer called the keys.
#include <fmgs/core/types.h>

#include <filesystem>

namespace fmgs {

/// Poses as they lie in a file: axis-angle in radians, metres. F rows, all finite.
struct PoseFile {
    std::string layout;           ///< what was recognised, one phrase
    torch::Tensor betas;          ///< [B], or undefined when the file has none
    torch::Tensor global_orient;  ///< [F,3]
    /// [F,3k]; k joints after the root, hands left out where the file has fingers
    torch::Tensor body_pose;
    torch::Tensor transl;            ///< [F,3]
    std::vector<std::string> names;  ///< `frame_names` where the file has them, else empty
    double fps = 30;
    /// "y", "z" or "-y"; empty when the file does not say and its kind does not tell
    std::string up_axis;

    int64_t count() const { return global_orient.size(0); }
    /// Row i for a body of `joint_count` joints; joints that the file does not have keep the rest
    /// pose.
    BodyPose pose(int64_t i, int64_t joint_count) const;
};

/// Recognises global_orient + body_pose (InstantAvatar, Anim-NeRF, our own), root_orient +
/// pose_body (SMPL-X AMASS), and whole rows named thetas, poses, pose or smpl_poses: 3·J columns,
/// of which 156 (SMPL-H) and 165 (SMPL-X) give their first 66. Translation: transl, trans or
/// smpl_trans (divided by smpl_scaling where there is one). Error: nothing recognised, counts that
/// do not match, not finite; the message names file, key and row.
PoseFile read_pose_file(const std::filesystem::path& file);
/// The library's own layout: betas [1,B], global_orient [F,3], body_pose [F,3(J-1)], transl [F,3]
/// and frame_names, float32. fps and up_axis are not written.
void write_pose_file(const std::filesystem::path& file, const PoseFile& poses);

}  // namespace fmgs
