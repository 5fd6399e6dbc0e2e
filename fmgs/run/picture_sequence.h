#pragma once
/// A folder of numbered pictures of every map, a sheet and a video of them.
#include <fmgs/core/types.h>

#include <filesystem>
#include <functional>

namespace fmgs {

struct PictureOptions {
    double fps = 24;  ///< of the video
    /// PNG with alpha (straight): colours have that of the map, other pictures are transparent
    /// where they are black; that of alpha is as it is
    bool transparent = false;
    std::vector<std::string> values{};  ///< what else is written: of map_value_names()
};

/// Makes FOLDER/NAME/000000.png … for every map NAME that `draw(k)` gives for k = 0 … count-1,
/// FOLDER/grid.png with the maps of some of them (Grid), and FOLDER.mp4 (or .avi) with all maps
/// side by side: whole, or as they were before. `shown` is called with the number of pictures that
/// are done. Returns why there is no video, a sentence; empty when there is one. Error: FOLDER
/// holds what no earlier sequence left; disk full; as write_map_values.
std::string write_pictures(const std::filesystem::path& folder, int64_t count,
                           const std::function<Maps(int64_t)>& draw,
                           const std::function<void(int64_t)>& shown,
                           const PictureOptions& options = {});

}  // namespace fmgs
