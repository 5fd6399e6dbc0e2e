#pragma once
/// Whether a capture can be learned from: a person of a person's size, where the masks are, with
/// priors that say what the body says.
#include <fmgs/data/capture.h>
#include <fmgs/data/check/mask_fit.h>
#include <fmgs/data/check/person_check.h>
#include <fmgs/data/check/prior_check.h>

namespace fmgs {

/// The train split held against the body, which is shaped for this person and on the CPU. Some
/// frames are looked at (checked_frames), the poses of all.
///
/// Checked are: the body's height, betas, places and jumps (person_check.h); that it is in the
/// pictures; the mean intersection over union of silhouettes and masks, with a guess at what is
/// wrong where it is under kPlausibleIou or a cause would help for certain; the priors
/// (check_priors).
Findings check_capture(const Body& body, const Capture& capture);
/// The same, but for the betas, of these frames, whose priors are of this format.
Findings check_frames(const Body& body, const FrameList& frames, const PriorFormat& format);

}  // namespace fmgs
