#pragma once
/// What lies around the mask of a frame: all that most losses look at.
#include <fmgs/core/box.h>

#include <optional>

namespace fmgs {

/// The smallest box around the mask (> 0.5). None where there is no mask, nothing in it, or a map
/// of another size than the camera's: the loss that reads it will complain of the whole.
std::optional<Box> mask_box(const Frame& frame);

/// What of a frame lies in a box: its maps, and the camera that sees them.
Frame cut(Frame frame, const Box& box);

}  // namespace fmgs
