#pragma once
/// Splits of layouts that have a pose for each frame and, for several cameras, pictures of the same
/// frames.
#include <fmgs/data/capture_poses.h>
#include <fmgs/data/capture_reader.h>
#include <fmgs/data/layouts/fields.h>
#include <fmgs/data/split_plan.h>

#include <functional>

namespace fmgs {

/// All frames that there are. Only those of the splits are asked for, each pose once.
struct FrameSet {
    std::vector<std::string> cameras;  ///< their names; one without a name where there is one
    std::vector<int64_t> numbers;      ///< of the frames that have a pose
    /// Splits that the capture's own files name; empty: by camera (split_plan.h).
    std::map<std::string, std::vector<FramePick>> listed;
    std::filesystem::path pose_path;
    Place place = Place::kSmpl;
    std::function<SourcePose(size_t frame)> pose;
    std::function<FrameSource(size_t camera, size_t frame)> frame;

    /// "NAME", or "CAMERA/NAME" where there are several.
    std::string name(size_t camera, const std::string& stem) const {
        return cameras.size() < 2 ? stem : cameras[camera] + "/" + stem;
    }
};

/// global_orient, body_pose (axis-angle, or matrices) and transl of a file of one frame, in smplx's
/// keys. The betas are left to the layout.
SourcePose read_smpl_pose(const Fields& in);

/// Puts the splits that are asked for into `out` (split_plan.h says which frames).
void add_splits(const CaptureRequest& request, const FrameSet& set, CaptureSource& out);

/// What a layout takes for granted of its principal points, as a note.
std::string center_note(PixelCenter center, const std::string& who);

}  // namespace fmgs
