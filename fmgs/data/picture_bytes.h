#pragma once
/// Pictures inside other files: pages, models. Needs OpenCV, as image_io.h.
#include <torch/types.h>

#include <string>

namespace fmgs {

/// [3,H,W] float in [0,1] (clamped) → the bytes of a JPEG, made smaller so that neither side
/// exceeds `longest` pixels.
std::string jpeg_bytes(const torch::Tensor& image, int64_t longest, int quality = 85);
/// The same picture as the bytes of a PNG of 8 bits, of its own size.
std::string png_bytes(const torch::Tensor& image);

}  // namespace fmgs
