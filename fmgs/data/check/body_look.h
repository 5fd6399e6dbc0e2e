#pragma once
/// What a camera sees of the posed body: what pictures and priors are held against.
#include <fmgs/core/body.h>

namespace fmgs {

/// The template as it is seen, without clothes. H×W of the camera.
struct BodyLook {
    torch::Tensor mask;    ///< [H,W] bool
    torch::Tensor depth;   ///< [1,H,W] metres; 0: none
    torch::Tensor normal;  ///< [3,H,W] of the faces, camera frame, facing the viewer; 0: none
    torch::Tensor joint;   ///< [H,W] int64, the joint that moves the face most; -1: none
};

class BodyViewer {
  public:
    /// Looks at the body as it is now; keeps a reference.
    explicit BodyViewer(const Body& body);

    /// [H,W] bool
    torch::Tensor silhouette(const BodyPose& pose, const Camera& camera) const;
    BodyLook look(const BodyPose& pose, const Camera& camera) const;
    /// Metres that a pixel spans at the distance of the body's middle.
    double pixel_size(const BodyPose& pose, const Camera& camera) const;

  private:
    const Body& body_;
    torch::Tensor faces_;  // [F,3]
    torch::Tensor joint_;  // [F], of every face
};

}  // namespace fmgs
