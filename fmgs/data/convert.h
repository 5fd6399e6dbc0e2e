#pragma once
/// Whatever people have on disk as a capture of the neutral layout (docs/data_layouts.md).
#include <fmgs/data/capture.h>

#include <functional>

namespace fmgs {

struct ConvertOptions {
    /// a capture in any layout that read_capture knows, a folder of pictures, or a video
    std::filesystem::path input;
    std::filesystem::path output;  ///< folder of the new capture
    /// poses of the frames, anything that read_pose_file knows; a capture's own where it is empty
    std::filesystem::path fit;
    std::filesystem::path masks;  ///< folder; empty: the capture's own, or alpha channels
    std::filesystem::path mhr;    ///< as PoseFileOptions::mhr_folder
    std::string body;             ///< as CaptureOptions::body
    std::string splits;           ///< as CaptureOptions::splits
    std::string camera;           ///< as CaptureOptions::camera
    int64_t person = -1;          ///< of the fit, as PoseFileOptions::person
    bool overwrite = false;       ///< replaces a capture in `output`
};

struct ConvertReport {
    std::string description;                                ///< one line: what was recognised
    std::vector<std::pair<std::string, int64_t>> frames{};  ///< of each split
    int64_t pictures = 0;                                   ///< written
    int64_t left_out = 0;                                   ///< frames without a pose or a mask
    bool masks = true;                 ///< whether there are any; training needs them
    bool priors = false;               ///< whether there are any
    std::vector<std::string> notes{};  ///< decisions the user should know
};

/// Writes `options.output`: cameras.npz, poses.npz, images/, masks/, and splits/, priors/, gt/,
/// test_view/ and novel_motion/ where the input has them. Pictures keep their size and their
/// background; files that can stay as they are are copied, the others are PNG. Lens distortion is
/// taken out. read_capture reads the same cameras, poses, splits and maps there. One frame of each
/// thread is in memory. `progress(done, all)` may throw to stop. Error: as read_capture; an output
/// folder that holds anything, unless it is a capture to be overwritten; no fit, or one without a
/// camera, where the input has none; nothing is left behind then.
ConvertReport convert(const ConvertOptions& options,
                      const std::function<void(int64_t, int64_t)>& progress = {});

}  // namespace fmgs
