#pragma once
/// cameras.npz: the cameras of the neutral layout.
#include <fmgs/data/source_camera.h>

#include <filesystem>

namespace fmgs {

struct CameraFile {
    std::filesystem::path file;
    /// [K,3,3], K = 1, the number of frames or that of cameras; pixel centres at 0.5 (pixel_center
    /// is honoured)
    torch::Tensor intrinsic;
    torch::Tensor extrinsic;         ///< [E,4,4] world → camera, likewise
    torch::Tensor distortion;        ///< [D,n], likewise; undefined: none
    int64_t width = 0, height = 0;   ///< of the stored images; 0: as the images are
    std::vector<std::string> names;  ///< of the cameras, where there are several
    bool says_center = false;        ///< whether pixel_center is in the file

    /// Row i of `count`. Error for another number of rows.
    SourceCamera camera(int64_t i, int64_t count) const;
    /// Whether every array has one row or `count`.
    bool has_rows(int64_t count) const;
};

/// Error: missing or damaged, matrices of other shapes, transposed, scaled or mirrored, not finite.
CameraFile read_camera_file(const std::filesystem::path& file);

}  // namespace fmgs
