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
    bool truth = true;  ///< the exact maps in gt/, where they are
    PriorFormat format;
    std::filesystem::path normal, depth, semantic;          ///< folders; empty: not there
    std::map<std::string, std::filesystem::path> features;  ///< modality → folder
};

/// Whether the name ends in .png, .jpg or .jpeg, in lower or upper case.
bool is_picture(const std::filesystem::path& file);
/// The first of <stem>.png, .jpg, .jpeg, these in upper case, and .npy that exists in `folder`; the
/// .png's path when none does.
std::filesystem::path find_picture(const std::filesystem::path& folder, const std::string& stem);

/// Whether the name a comes before b: as text, but digits in a row count as one number.
bool natural_less(const std::string& a, const std::string& b);

/// What the header of a picture or an .npy says of its size, in pixels. Error: not there, no
/// picture, an array that is no map.
struct MapSize {
    int64_t height = 0, width = 0;
};
MapSize stored_size(const std::filesystem::path& file);

/// Bytes that the maps of this frame take, by the headers of its files.
double frame_bytes(const std::filesystem::path& folder, const FrameReading& reading,
                   const Frame& frame);

/// Gives frame.camera the size of its picture where it has none, and shrinks it.
void shrink_camera(const std::filesystem::path& folder, int64_t downscale, Frame& frame);

/// Reads the maps of frame.name from `folder`: maps color, mask and what `reading` has; truth
/// color, mask and, where gt/ has the frame, depth [1,H,W] metres, normal [3,H,W], semantic [H,W].
/// frame.camera comes in for the stored size and leaves for the shrunk one. Error: a file that is
/// missing, damaged or of another size, which its header tells before anything is decoded.
void read_frame_files(const std::filesystem::path& folder, const FrameReading& reading,
                      Frame& frame);

}  // namespace fmgs
