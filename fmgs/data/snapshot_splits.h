#pragma once
/// The splits of a capture in InstantAvatar's layout, before any picture is opened: which pictures,
/// and which camera and pose each of them has.
#include <fmgs/data/capture.h>
#include <fmgs/data/frame_files.h>
#include <fmgs/data/pose_file.h>

namespace fmgs::detail {

using Names = std::vector<std::string>;

/// One split on disk, and which row of the pose file each of its pictures shows.
struct Split {
    std::string name;
    std::filesystem::path folder;
    std::filesystem::path pose_path;
    PoseFile poses;
    CameraFile cameras;
    Names names;
    std::vector<int64_t> rows;        ///< of the pose file
    std::vector<int64_t> cameras_at;  ///< of cameras.npz
    int64_t camera_count = 1;
};

bool is_wanted(const CaptureParts& parts, const std::string& split);

/// The splits that are wanted, the train split first, whether it is or not: the others refer to its
/// poses, and options say which of its frames are taken. Notes say what was decided.
std::vector<Split> read_splits(const CaptureOptions& options, const CaptureParts& parts,
                               Names& notes);

}  // namespace fmgs::detail
