#pragma once
/// What a foundation model would have said: exact maps made wrong in the ways that such models are.
#include <fmgs/core/random.h>
#include <fmgs/core/types.h>

namespace fmgs {

struct PriorErrors {
    double normal_blur = 1.1;  ///< σ of the blur of normals, pixels
    /// smooth rotation, part fixed to the person's box, part new in each frame, degrees
    double normal_bias_deg = 7.5;
    double normal_noise_deg = 8.0;  ///< per pixel, degrees
    double depth_noise = 0.009;     ///< per pixel, as a share of the person's depth range
    double depth_bias = 0.026;      ///< smooth over the picture, as a share of the range
    /// share of frames with one forearm and hand 15–30 cm too near or too far
    double limb_share = 10.0 / 56;
    double border_shift = 1.0;     ///< standard deviation of the shift of label borders, pixels
    double swap_share = 1.0 / 40;  ///< share of frames with a left/right pair of labels swapped
};

/// Priors from the exact maps "mask", "depth", "normal", "semantic" of a frame: normal [3,H,W]
/// unit; depth [1,H,W] in [0,1], 0 nearest, right only up to order and not everywhere; semantic
/// [H,W] int64; zero outside the mask. random.step is the frame's number: it draws errors of its
/// own and shares the part of the bias that is fixed to the body.
Maps corrupted(const Maps& truth, const PriorErrors& errors, const Random& random);

/// How wrong priors are, over the mask: the angle between normals, mean, degrees; Spearman's rank
/// correlation of depth; the share of equal labels.
struct PriorQuality {
    double normal_deg = 0, depth_correlation = 0, label_share = 0;
};
PriorQuality prior_quality(const Maps& prior, const Maps& truth);

}  // namespace fmgs
