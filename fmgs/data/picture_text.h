#pragma once
/// Text in pictures. Needs OpenCV, as image_io.h.
#include <torch/types.h>

#include <string>

namespace fmgs {

/// A line of text in white on black, [3,20,W], as wide as it takes. ASCII; anything else is "?".
torch::Tensor text_picture(const std::string& text);

}  // namespace fmgs
