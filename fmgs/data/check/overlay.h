#pragma once
/// The posed body drawn over a picture.
#include <fmgs/data/check/body_look.h>

namespace fmgs {

/// Places of the joints in the world, [J,3].
torch::Tensor joint_places(const Body& body, const BodyPose& pose);

/// The picture [3,H,W] with the body's outline in green and its joints: left ones red, right ones
/// blue, others yellow (SMPL's numbering; yellow for other rigs).
torch::Tensor draw_over(const torch::Tensor& picture, const Body& body, const BodyViewer& viewer,
                        const Frame& frame);
/// Body and mask: grey where both are, red where the mask is alone, blue where the body is.
torch::Tensor draw_beside(const torch::Tensor& mask, const BodyViewer& viewer, const Frame& frame);

}  // namespace fmgs
