#pragma once
/// Projection onto the principal subspace of samples and into a box of standard deviations there:
/// what Animatable Gaussians does to a novel pose.
#include <fmgs/core/module.h>

namespace fmgs {

/// x̂ = x̄ + w⁻¹∘Sᵀ clamp(S(w∘(x - x̄)), ±k·σ): x̄ [D] the mean of T samples, S [K,D] the orthonormal
/// principal directions of w∘(x - x̄), σ [K] the standard deviations along them (divisor T - 1), w
/// [D] weights, k `sigmas`. Before fit() it is the identity. All that is fitted are buffers.
class SubspaceProjectionImpl : public Module {
  public:
    /// At most `rank` directions; sigmas may be infinite: no box. Error: a number below 1, sigmas
    /// not above 0.
    SubspaceProjectionImpl(int64_t dimension, int64_t rank, double sigmas = 2);
    /// samples: [T,D]; weights: [D], above 0, undefined: 1. In double, whatever their type.
    /// Directions that the samples do not span (their number is at most min(T - 1, D)) stay zero,
    /// with σ = 0. Error: no sample, a number that is not finite, a weight that is not above 0.
    void fit(const torch::Tensor& samples, const torch::Tensor& weights = {});
    /// b = S(w∘(x - x̄)), not clamped: [B,D] → [B,K].
    torch::Tensor encode(const torch::Tensor& x) const;
    /// x̄ + w⁻¹∘Sᵀb: [B,K] → [B,D].
    torch::Tensor decode(const torch::Tensor& code) const;
    /// x̂, differentiable in x: [B,D] → [B,D].
    torch::Tensor forward(const torch::Tensor& x) const;

    /// [K] k·σ: the largest |b_i| of what forward() returns.
    torch::Tensor limits() const;
    const torch::Tensor& mean() const { return mean_; }            ///< [D]
    const torch::Tensor& basis() const { return basis_; }          ///< [K,D]
    const torch::Tensor& deviation() const { return deviation_; }  ///< [K]
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    double sigmas_;
    torch::Tensor mean_, basis_, deviation_, weights_;  // buffers
    torch::Tensor fitted_;                              // buffer: [] int64, 0 or 1
};
TORCH_MODULE(SubspaceProjection);

}  // namespace fmgs
