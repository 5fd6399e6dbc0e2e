#pragma once
/// Which row of a fit belongs to which frame.
#include <fmgs/data/pose_file.h>

namespace fmgs::detail {

/// What frames are, since fits count them differently.
enum class FramesOf {
    video,    ///< places from 0; names mean nothing
    folder,   ///< names, or places in the order of the names
    capture,  ///< names, or the numbers in them: a capture may hold some of a video's frames only
};

/// The row of each frame, -1 where the fit has none; how they meet, as a note. `names`: of the
/// frames, in order. Error: nothing tells which belong together, or no frame has a row.
std::vector<int64_t> link_fit(const PoseFile& fit, const std::string& what,
                              const std::vector<std::string>& names, FramesOf kind,
                              std::vector<std::string>& notes);

}  // namespace fmgs::detail
