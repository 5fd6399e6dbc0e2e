#pragma once
/// The neutral layout of a capture: which frame goes where, and its cameras, poses and splits.
#include <fmgs/data/capture_reader.h>

namespace fmgs::detail {

/// A frame that is to be written.
struct PlacedFrame {
    const FrameSource* source;
    std::filesystem::path folder;  ///< below the output: "", "test_view" or "novel_motion"
    bool priors = false;           ///< whether it is one of the train split, which have priors
};

/// Every frame once. Error: a name that leaves the folder, or that two pictures have.
std::vector<PlacedFrame> place_frames(const CaptureSource& source);

/// cameras.npz, poses.npz and splits/ of all folders. Several cameras that stand still, before
/// which one person moves: a row per camera, CAMERA/NAME. Else a row per picture, and test_view and
/// novel_motion in folders of their own.
void write_arrays(const std::filesystem::path& output, const OpenCapture& capture);

}  // namespace fmgs::detail
