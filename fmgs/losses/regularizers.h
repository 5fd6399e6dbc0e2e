#pragma once
/// L_iso and L_skin: what keeps the deformation near-rigid and the skinning near the body's (§4.4,
/// after 3DGS-Avatar).
#include <fmgs/core/mesh.h>
#include <fmgs/fields/skinning.h>
#include <fmgs/losses/loss.h>

namespace fmgs {

/// mean over surfels i and their neighbours j of | ‖μ′_i - μ′_j‖ - ‖μ_o,i - μ_o,j‖ |, metres;
/// gradient to both sides.
class IsoPositionLoss : public Loss {
  public:
    /// neighbours: [N,k] int64, fixed.
    explicit IsoPositionLoss(const torch::Tensor& neighbours);
    torch::Tensor forward(const LossInput& input) override;

  private:
    torch::Tensor neighbours_;  // buffer
};

/// The same on covariances Σ = aaᵀ + bbᵀ, as points (xx, xy, xz, yy, yz, zz); square metres.
class IsoCovarianceLoss : public Loss {
  public:
    /// neighbours: [N,k] int64, fixed.
    explicit IsoCovarianceLoss(const torch::Tensor& neighbours);
    torch::Tensor forward(const LossInput& input) override;

  private:
    torch::Tensor neighbours_;  // buffer
};

/// L_skin = mean over fresh surface points x of Σ_j (ŵ_j(x) - w_j(x))²: field against the
/// template's weights, barycentrically. Reads the field itself, no surfel. Draws:
/// random.generator("skin").
class SkinLoss : public Loss {
  public:
    /// canonical: template; weights: [V,J] of its vertices. The field stays the caller's: its
    /// parameters are not this module's.
    SkinLoss(std::shared_ptr<Skinning> field, const Mesh& canonical, const torch::Tensor& weights,
             int64_t points = 1024);
    torch::Tensor forward(const LossInput& input) override;

  private:
    std::shared_ptr<Skinning> field_;
    torch::Tensor vertices_, faces_, weights_;  // buffers
    SurfaceSampler sampler_;  // of the template; its areas are on the CPU, where draws are made
    int64_t points_;
};

}  // namespace fmgs
