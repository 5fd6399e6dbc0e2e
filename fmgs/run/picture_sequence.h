#pragma once
/// A folder of numbered pictures of every map, and a video of them side by side.
#include <fmgs/core/types.h>

#include <filesystem>
#include <functional>

namespace fmgs {

/// Makes FOLDER/NAME/000000.png … for every map NAME that `draw(k)` gives for k = 0 … count-1, and
/// FOLDER.mp4 (or .avi) with all of them side by side: whole, or as they were before. `shown` is
/// called with the number of pictures that are done. Returns why there is no video, a sentence;
/// empty when there is one. Error: FOLDER holds what no earlier sequence left; disk full.
std::string write_pictures(const std::filesystem::path& folder, int64_t count, double fps,
                           const std::function<Maps(int64_t)>& draw,
                           const std::function<void(int64_t)>& shown);

}  // namespace fmgs
