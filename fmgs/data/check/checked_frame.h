#pragma once
/// The frames that a check looks at, small: whether a person stands where a mask is shows at a
/// hundred pixels.
#include <fmgs/core/types.h>

namespace fmgs {

/// H×W of the camera, at most kCheckedSize each.
struct CheckedFrame {
    std::string name;
    Camera camera;
    BodyPose pose;
    torch::Tensor mask;  ///< [H,W] bool
    Maps priors;         ///< normal, depth and semantic, those that the frame has
};

inline constexpr int64_t kCheckedSize = 96;

/// Of `count` frames those that are checked: all of a short capture, else windows of neighbours
/// spread over it, for rows that are shifted show among neighbours only.
std::vector<size_t> checked_frames(size_t count);

/// A frame with its mask → one of at most kCheckedSize pixels: every n-th of its pixels.
CheckedFrame thinned(const Frame& frame);

}  // namespace fmgs
