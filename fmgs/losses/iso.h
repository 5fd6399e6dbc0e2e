#pragma once
/// L_iso (§4.4, after 3DGS-Avatar): what keeps the deformation near-rigid.
#include <fmgs/core/surfel_set.h>
#include <fmgs/losses/loss.h>

namespace fmgs {

/// mean over surfels i and their neighbours j of | ‖μ′_i - μ′_j‖ - ‖μ_o,i - μ_o,j‖ |, metres;
/// gradient to both sides.
class IsoPositionLoss : public Loss {
  public:
    /// Reads the neighbours of these surfels, which stay the caller's. Error when null.
    explicit IsoPositionLoss(std::shared_ptr<const SurfelSetImpl> surfels);
    torch::Tensor forward(const LossInput& input) override;

  private:
    std::shared_ptr<const SurfelSetImpl> surfels_;
};

/// The same on covariances Σ = aaᵀ + bbᵀ, as points (xx, xy, xz, yy, yz, zz); square metres.
class IsoCovarianceLoss : public Loss {
  public:
    /// Reads the neighbours of these surfels, which stay the caller's. Error when null.
    explicit IsoCovarianceLoss(std::shared_ptr<const SurfelSetImpl> surfels);
    torch::Tensor forward(const LossInput& input) override;

  private:
    std::shared_ptr<const SurfelSetImpl> surfels_;
};

}  // namespace fmgs
