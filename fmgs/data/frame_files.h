#pragma once
/// The files of one frame in a capture folder: images/, masks/, priors/, gt/ and feature folders →
/// Frame.
#include <fmgs/core/types.h>
#include <fmgs/data/priors.h>

#include <filesystem>
#include <map>

namespace fmgs {

/// Pinhole cameras of a folder: cameras.npz.
struct CameraFile {
    /// [K,3,3], K = 1 or the number of frames; pixel centres at 0.5 (pixel_center is honoured)
    torch::Tensor intrinsic;
    torch::Tensor extrinsic;        ///< [E,4,4] world → camera, E = 1 or the number of frames
    int64_t width = 0, height = 0;  ///< of the stored images; 0: as the images are

    /// Of frame i of `count` (which names the expected number in the Error for other numbers of
    /// rows).
    Camera camera(int64_t i, int64_t count, const std::filesystem::path& file) const;
};
CameraFile read_camera_file(const std::filesystem::path& file);

/// Which maps are there to be read beside picture and mask, and how.
struct FrameReading {
    int64_t downscale = 1;
    PriorFormat format;
    std::filesystem::path normal, depth, semantic;          ///< folders; empty: not there
    std::map<std::string, std::filesystem::path> features;  ///< modality → folder
};

/// The first of <stem>.png, .jpg, .jpeg, .npy that exists in `folder`; the .png's path when none
/// does.
std::filesystem::path find_picture(const std::filesystem::path& folder, const std::string& stem);

/// Reads the maps of frame.name from `folder`: maps color, mask and what `reading` has; truth
/// color, mask and, where gt/ has the frame, depth [1,H,W] metres, normal [3,H,W], semantic [H,W].
/// frame.camera comes in for the stored size and leaves for the shrunk one. Error: a file that is
/// missing, damaged or of another size.
void read_frame_files(const std::filesystem::path& folder, const FrameReading& reading,
                      Frame& frame);

}  // namespace fmgs
