#pragma once
/// COLMAP models as cameras by picture.
#include <fmgs/data/source_camera.h>

#include <filesystem>

namespace fmgs {

/// A picture that COLMAP registered.
struct ColmapPicture {
    std::string name;  ///< with its extension, relative to images/
    SourceCamera camera;
};
/// The folder with cameras and images, .bin or .txt: sparse/0, sparse or colmap/sparse/0 below
/// `root`; empty where there is none.
std::filesystem::path find_colmap(const std::filesystem::path& root);
/// Naturally sorted. COLMAP's pixels count as ours. Error: damaged, a camera that there is not, a
/// fisheye model (undistort with `colmap image_undistorter`).
std::vector<ColmapPicture> read_colmap(const std::filesystem::path& folder);

}  // namespace fmgs
