#pragma once
/// Where in canonical space a point of a posed body came from.
#include <fmgs/core/body.h>
#include <fmgs/fields/skinning.h>

namespace fmgs {

struct CanonicalSearchOptions {
    int64_t iterations = 30;    ///< of Newton's method, at most
    double largest_step = 0.1;  ///< along each axis, metres
    double tolerance = 1e-5;    ///< how far a point may be missed, metres
};

/// Points in canonical space, and which of them were found.
struct CanonicalPoints {
    torch::Tensor position;   ///< [P,3] metres; where none was found, the closest that was seen
    torch::Tensor converged;  ///< [P] bool: skinned it lies within the tolerance of its point
};

/// Solves LBS(x) = p, Σ_j w_j(x) B_j x = p, for x by Newton's method with the whole Jacobian
///   ∂LBS/∂x = Σ_j w_j R_j + Σ_j (B_j x) ∂w_j/∂xᵀ,
/// both terms, each step held to a length; the second is what Animatable Gaussians damp to a tenth,
/// which converges linearly where weights change. Of several preimages it finds the one near its
/// start. It has no parameters, and no gradient flows through it.
class CanonicalSearchImpl : public Module {
  public:
    explicit CanonicalSearchImpl(const CanonicalSearchOptions& options = {});
    /// posed [P,3] world metres; bones [J,4,4] canonical → observed, as Body::bones; weights of
    /// `skinning`; start [P,3] canonical, for example nearest_start().
    CanonicalPoints forward(const torch::Tensor& posed, const torch::Tensor& bones,
                            Skinning& skinning, const torch::Tensor& start) const;
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    CanonicalSearchOptions options_;
};
TORCH_MODULE(CanonicalSearch);

/// Each point of `posed` [P,3] taken back by the transform that moves the nearest vertex of the
/// body's template in this pose. Returns [P,3] in canonical space.
torch::Tensor nearest_start(const torch::Tensor& posed, const Body& body, const BodyPose& pose);

}  // namespace fmgs
