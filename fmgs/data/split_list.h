#pragma once
/// Which frames of which cameras are a split: the lists of published protocols (configs/splits/).
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace fmgs {

/// One line: frames and cameras by number, ends inclusive.
struct SplitRule {
    std::string split;
    int64_t first_camera = 1, last_camera = 1;  ///< from 1, in the order of the layout
    int64_t first = 0, last = 0, step = 1;      ///< numbers of frames, as in their names

    /// Whether frame `number` of the camera in place `camera` (from 0) is in it.
    bool holds(int64_t camera, int64_t number) const {
        return camera + 1 >= first_camera && camera + 1 <= last_camera && number >= first &&
               number <= last && (number - first) % step == 0;
    }
};

/// The lines of a list that are about this subject. A line is "SUBJECT SPLIT CAMERAS FIRST LAST
/// STEP", '#' begins a comment; CAMERAS is "1", "2-23" or "2-" (to the last), LAST a number or "-".
/// Error, with the line's number, for any other form.
std::vector<SplitRule> read_split_list(const std::filesystem::path& file,
                                       const std::string& subject);

}  // namespace fmgs
