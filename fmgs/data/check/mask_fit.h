#pragma once
/// Is the posed body where the masks are, and if not, why?
#include <fmgs/data/check/body_look.h>
#include <fmgs/data/check/checked_frame.h>

#include <optional>
#include <span>

namespace fmgs {

/// A fitted body under clothes has more than this in common with its mask: 0.75 and above were seen
/// in captures that train well, 0 to 0.56 in broken ones.
inline constexpr double kPlausibleIou = 0.7;

/// The silhouettes of the posed body beside the masks.
struct MaskFit {
    std::vector<torch::Tensor> silhouettes;  ///< [H,W] bool of each frame
    std::vector<double> iou;                 ///< of each frame; 0 where both are empty
    double mean = 0;                         ///< of iou
};
MaskFit fit_masks(const BodyViewer& viewer, const std::vector<CheckedFrame>& frames);

/// What may be wrong with a capture, and what it would help to undo that.
struct Cause {
    std::string text;              ///< "the masks are inverted: …", with the cure
    double before = 0, after = 0;  ///< mean IoU over the frames that tell
};

/// The cause that would help most, if one helps for certain: masks or pictures that are inverted or
/// mirrored, rows of poses that belong to other frames, cameras of another convention, another
/// focal length or crop, a person who stands beside the mask. `all`: every frame of the split, in
/// the order of its poses; maps are not looked at.
std::optional<Cause> find_cause(const BodyViewer& viewer, const std::vector<CheckedFrame>& frames,
                                const MaskFit& fit, std::span<const Frame> all);

}  // namespace fmgs
