#pragma once
/// Cameras to draw with, from a file.
#include <fmgs/core/types.h>

#include <filesystem>
#include <vector>

namespace fmgs {

/// All cameras of our cameras.npz, or of nerfstudio's transforms.json, in the order of the file.
/// Distortion is left out. Error: neither of the two, damaged, no camera, or a file that does not
/// say how large its pictures are.
std::vector<Camera> read_cameras(const std::filesystem::path& file);

}  // namespace fmgs
