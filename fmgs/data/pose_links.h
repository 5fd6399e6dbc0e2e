#pragma once
/// Which picture each row of a poses.npz belongs to.
#include <fmgs/data/pose_file.h>

namespace fmgs {

struct PoseLinks {
    std::vector<std::string> names;  ///< of each row; empty: the order tells
    std::vector<bool> valid;         ///< of each row; empty: all are

    bool is_valid(int64_t row) const { return valid.empty() || valid[static_cast<size_t>(row)]; }
};
/// By frame_names; else by frame_ids, the numbers in the names of `pictures`. `valid` marks rows
/// that are to be skipped. Error: one per row is expected; no picture with such a number.
PoseLinks read_pose_links(const std::filesystem::path& file, const PoseFile& poses,
                          const std::vector<std::string>& pictures);

}  // namespace fmgs
