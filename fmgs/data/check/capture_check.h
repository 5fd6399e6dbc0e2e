#pragma once
/// Whether a capture can be learned from: a person of a person's size, where the masks are, with
/// priors that say what the body says.
#include <fmgs/data/capture.h>
#include <fmgs/data/check/mask_fit.h>
#include <fmgs/data/check/prior_check.h>

namespace fmgs {

/// What was found.
struct CaptureCheck {
    std::vector<std::string> lines;     ///< the figures, a line each
    std::vector<std::string> warnings;  ///< what a person should look at
    std::vector<std::string> problems;  ///< why training would learn nothing, with causes and cures
};

/// The train split held against the body, which is shaped for this person and on the CPU. Some
/// frames are looked at (checked_frames), the poses of all.
///
/// Checked are: the body's height (1.2 to 2.3 m); that it is in the pictures; the mean
/// intersection over union of silhouettes and masks, with a guess at what is wrong where it is
/// under kPlausibleIou or a cause would help for certain; poses that jump there and back within one
/// frame; the priors (check_priors).
CaptureCheck check_capture(const Body& body, const Capture& capture);
/// The same of these frames, whose priors are of this format.
CaptureCheck check_frames(const Body& body, const FrameList& frames, const PriorFormat& format);

}  // namespace fmgs
