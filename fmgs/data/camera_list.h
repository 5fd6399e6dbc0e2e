#pragma once
/// Cameras to draw with, from a file.
#include <fmgs/core/types.h>

#include <filesystem>
#include <optional>
#include <vector>

namespace fmgs {

struct CameraList {
    std::vector<Camera> cameras;
    std::optional<double> fps{};  ///< pictures a second, where the file is a path and says it
};

/// All cameras of our cameras.npz, of nerfstudio's transforms.json (frames), or of a camera path as
/// nerfstudio's viewer and its add-on for Blender write them (camera_path), in the order of the
/// file. They are taken to be in the world of the capture, in metres; distortion is left out.
/// Error: none of the three, damaged, no camera, one that is mirrored, scaled, not finite or no
/// pinhole, or a file that does not say how large its pictures are.
CameraList read_cameras(const std::filesystem::path& file);

}  // namespace fmgs
