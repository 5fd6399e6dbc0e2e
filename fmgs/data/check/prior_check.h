#pragma once
/// Do normals, depth and labels say what the posed body says?
#include <fmgs/data/check/body_look.h>
#include <fmgs/data/check/checked_frame.h>
#include <fmgs/data/priors.h>

namespace fmgs {

/// What one kind of prior was found to be.
struct PriorCheck {
    std::string line;           ///< the figures, for people
    std::string contradiction;  ///< what is wrong and the option that mends it; empty: nothing
};

/// For each kind of prior that the frames have:
/// - normals: the mean cosine with the body's under all eight choices of signs, and with channels
///   stored the other way round, on faces that are turned towards the camera;
/// - depth: the mean rank correlation with the body's;
/// - labels: how often "Left_…" and "Right_…" lie on that side of the body. Needs SMPL's joints.
std::vector<PriorCheck> check_priors(const Body& body, const BodyViewer& viewer,
                                     const std::vector<CheckedFrame>& frames,
                                     const PriorFormat& format);

}  // namespace fmgs
