#pragma once
/// Pose projection (Animatable Gaussians): the pose that conditions the fields is held near the
/// training poses. The bones keep the true pose.
#include <fmgs/core/body.h>
#include <fmgs/core/config/range.h>
#include <fmgs/fields/subspace_projection.h>

namespace fmgs {

struct PoseProjectionOptions {
    int64_t components = 0;  ///< 0: none
    double sigmas = 2;

    template <class V>
    void visit(V& v) {
        v("components", components, Range::of(0, 1000),
          "principal components of the training poses that condition a drawn avatar (Animatable "
          "Gaussians: 20); 0: the pose as it is");
        v("sigmas", sigmas, Range::more_than(0),
          "how many standard deviations of the training poses a component may be from their mean");
    }
};

/// How many vertices of the template turn with each joint, those of its children included, by
/// skinning weight: [J] double, at least 1.
torch::Tensor turned_vertices(const Body& body);

/// A SubspaceProjection of the joints' local rotations, the root's left out, entry by entry: what
/// comes out are the numbers that an encoder reads, and no rotations. A joint counts by the root
/// of how many vertices turn with it, which is close to the distance between posed surfaces.
/// Before fit() it is the identity.
class PoseProjectionImpl : public Module {
  public:
    /// turned: [J], as turned_vertices(). options.components ≥ 1.
    PoseProjectionImpl(const torch::Tensor& turned, const PoseProjectionOptions& options);
    /// rotations: [T,J,3,3] local, of the training poses.
    void fit(const torch::Tensor& rotations);
    /// rotations: [J,3,3] local. Returns [J,3,3]; the root's stays.
    torch::Tensor forward(const torch::Tensor& rotations) const;
    const SubspaceProjectionImpl& subspace() const { return *subspace_; }
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    PoseProjectionOptions options_;
    torch::Tensor turned_;  // buffer
    SubspaceProjection subspace_{nullptr};
};
TORCH_MODULE(PoseProjection);

}  // namespace fmgs
