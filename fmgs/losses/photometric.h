#pragma once
/// L_c (eq. 13): colour against the picture on black.
#include <fmgs/core/config/range.h>
#include <fmgs/losses/loss.h>

namespace fmgs {

/// SSIM of Wang et al. 2004: Gaussian window 11 with σ 1.5, zero padding, C1 = 0.01², C2 = 0.03²,
/// range 1; per channel, mean over all pixels and channels. x, y: [C,H,W] in [0,1], float or
/// double, with gradients to both; a second derivative raises. Where both pictures are black SSIM
/// is exactly 1; on the CPU only the box around the rest is computed, and on a GPU only the tiles,
/// which changes neither value nor gradient.
torch::Tensor ssim(const torch::Tensor& x, const torch::Tensor& y);

struct PhotometricOptions {
    double ssim = 0.2;  ///< λ_ssim of eq. 13

    template <class V>
    void visit(V& v) {
        v("ssim", ssim, Range::of(0, 1),
          "share of 1 - SSIM in the photometric loss; the rest is L1");
    }
};

/// L_c = (1-λ)·mean|I - Ī| + λ·(1 - SSIM(I, Ī)) over the full image (eq. 13). Ī, the target
/// "color", is on black already: a pixel half covered has half the subject's color.
class PhotometricLoss : public Loss {
  public:
    /// Error: an option that is out of its range.
    explicit PhotometricLoss(const PhotometricOptions& options = {});
    std::vector<std::string> needs() const override { return {"color"}; }
    std::vector<std::string> targets() const override { return {"color"}; }
    torch::Tensor forward(const LossInput& input) override;

  private:
    PhotometricOptions options_;
};

}  // namespace fmgs
