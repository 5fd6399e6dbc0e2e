#pragma once
/// COLMAP's sparse models, text and binary: cameras and images; points are skipped. No torch
/// inside: it works on bytes, and so it fuzzes fast.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fmgs {

struct ColmapCamera {
    int64_t id = 0;
    std::string model;  ///< "PINHOLE", "OPENCV", …
    int64_t width = 0, height = 0;
    std::vector<double> params;  ///< as many as the model has, in its order; finite
};

struct ColmapImage {
    std::string name;
    int64_t camera = 0;                      ///< an id
    std::array<double, 4> quaternion = {};   ///< w x y z, world → camera, unit
    std::array<double, 3> translation = {};  ///< world → camera
};

// Errors, with `what` in front: cut short, a count that lies, a model or a size that is none, not
// finite, a camera or an image twice.
std::vector<ColmapCamera> parse_colmap_cameras(std::string_view bytes, bool binary,
                                               const std::string& what);
std::vector<ColmapImage> parse_colmap_images(std::string_view bytes, bool binary,
                                             const std::string& what);

}  // namespace fmgs
