#pragma once
/// How silhouettes would have to be moved and scaled to lie on masks, by the boxes around them.
#include <fmgs/data/check/checked_frame.h>

#include <optional>

namespace fmgs {

/// u' = c + scale (u - c) + shift about the principal point c: a focal length `scale` times as
/// long, and a principal point that lies (right, down) pixels away.
struct BoxFit {
    double scale = 1, right = 0, down = 0;

    Camera changed(Camera camera) const;
};

/// The medians over all frames that have both.
struct BoxFits {
    BoxFit shifted;  ///< scale 1
    BoxFit scaled;   ///< no shift
    BoxFit both;
};
/// None when no frame has both a silhouette and a mask.
std::optional<BoxFits> fit_boxes(const std::vector<torch::Tensor>& silhouettes,
                                 const std::vector<CheckedFrame>& frames);

}  // namespace fmgs
