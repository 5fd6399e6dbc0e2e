#pragma once
/// Maps as numbers in files, for other programs.
#include <fmgs/core/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace fmgs {

/// What write_map_values knows, each as files of a folder of its name. Where alpha is not above ½
/// there is none: 0.
///   depth_mm    PNG of 16 bits, grey: depth along the optical axis in whole millimetres
///   depth_m     .npy float32 (H,W): the same in metres
///   normal_xyz  .npy float32 (H,W,3): unit normals in the camera's axes, x right, y up, z towards
///               the viewer, as a capture's priors and exact maps have them (RUB)
const std::vector<std::string>& map_value_names();

/// Writes FOLDER/NAME/000000.png or .npy for picture k. Error: a name that is none of these; a
/// depth beyond the 65.535 m that 16 bits hold; disk full.
void write_map_values(const std::filesystem::path& folder, const std::string& name, int64_t k,
                      const Maps& maps);

}  // namespace fmgs
