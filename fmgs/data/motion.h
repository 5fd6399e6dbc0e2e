#pragma once
/// Motions that drive an avatar, and putting them in front of a camera.
#include <fmgs/core/body.h>

#include <filesystem>
#include <span>

namespace fmgs {

/// Poses over time in the axes of their file, with SMPL's transl.
struct Motion {
    std::vector<BodyPose> poses;
    double fps = 30;
    torch::Tensor up;                   ///< [3] unit: where up is in the motion's axes
    std::string description;            ///< one line: what was recognised, what was left out
    std::vector<std::string> warnings;  ///< what is likely to be wrong, a sentence each
};

struct MotionOptions {
    int64_t person = -1;  ///< as PoseFileOptions'
    std::filesystem::path mhr_folder{};
};

/// Any file that read_pose_file knows, for this body. Frames that are missing in between are filled
/// in: rotations along the shortest arc, translations linearly. Up is told by the spine
/// (up_axis.h); a rate that does not go with the steps of a walk is a warning (gait.h). Error: as
/// read_pose_file; more joints than the body has; a hole of more than 10,000 frames.
Motion read_motion(const std::filesystem::path& file, const Body& body,
                   const MotionOptions& options = {});

/// The same motion at another rate: rotations along the shortest arc, translations linearly.
Motion resampled(const Motion& motion, double fps);

/// Where the motion goes in the world of a capture.
struct Placement {
    torch::Tensor rest_root;  ///< [3] joint 0 of the avatar at rest: BodyModel::joints()[0]
    torch::Tensor position;   ///< [3] where joint 0 of the first frame goes, world metres
    /// [3] up in the world; undefined: (0,-1,0), the world of an upright first camera
    torch::Tensor up;
    /// turn about up so that the first frame faces the camera; else only make it upright
    bool face_camera = true;
};

/// The motion, upright and moved so that it starts at the place, as rotations and translations of
/// this avatar, on the motion's device: A = turn · (motion's up → world's up), R₀' = A R₀, t' = A
/// (t − t₁) + position − rest_root.
std::vector<BodyPose> place_motion(const Motion& motion, const Camera& camera,
                                   const Placement& placement);

/// Median position of joint 0 over frames, [3] world metres: where a capture's person stands.
torch::Tensor median_root(std::span<const Frame> frames, const torch::Tensor& rest_root);
/// The same of the translations [F,3] of poses.
torch::Tensor median_root(const torch::Tensor& translation, const torch::Tensor& rest_root);

}  // namespace fmgs
