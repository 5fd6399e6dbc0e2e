#pragma once
/// L_norm (eqs. 17, 18): the rendered normal against the depth, against the prior, and its total
/// variation.
#include <fmgs/losses/loss.h>

namespace fmgs {

/// Normals of a depth map.
struct DepthNormals {
    torch::Tensor normal;  ///< [3,H,W] unit, camera frame, facing the viewer; 0 where not valid
    /// [H,W] bool: the pixel and its four neighbours are inside, and it is not on the border
    torch::Tensor valid;
};

/// N̂: back-projects the depth [1,H,W] and crosses the central differences, vertical × horizontal.
/// inside: [H,W] bool.
DepthNormals normal_from_depth(const torch::Tensor& depth, const Camera& camera,
                               const torch::Tensor& inside);

/// L_sn = mean over F of ‖N - N̂‖₁, N̂ from the rendered depth, where all four neighbours are in F. N̂
/// is a constant unless `live_target`, which it is where the row of the loss may move surfels:
/// depth is a function of position.
class NormalConsistencyLoss : public Loss {
  public:
    explicit NormalConsistencyLoss(bool live_target = false) : live_target_(live_target) {}
    std::vector<std::string> needs() const override { return {"normal", "depth"}; }
    std::vector<std::string> targets() const override { return {"mask"}; }
    bool stays_in_mask() const override { return true; }
    torch::Tensor forward(const LossInput& input) override;

  private:
    bool live_target_;
};

/// L_n = mean over F of 1 - N·N̄ where the prior N̄ is finite and at least 0.5 long; it is brought to
/// unit length.
class NormalLoss : public Loss {
  public:
    std::vector<std::string> needs() const override { return {"normal"}; }
    std::vector<std::string> targets() const override { return {"normal", "mask"}; }
    bool stays_in_mask() const override { return true; }
    torch::Tensor forward(const LossInput& input) override;
};

/// L_tv = mean over horizontal and vertical neighbours that are both in F of ‖N - N'‖₁ (eq. 17 as a
/// mean, not a sum).
class NormalTvLoss : public Loss {
  public:
    std::vector<std::string> needs() const override { return {"normal"}; }
    std::vector<std::string> targets() const override { return {"mask"}; }
    bool stays_in_mask() const override { return true; }
    torch::Tensor forward(const LossInput& input) override;
};

}  // namespace fmgs
