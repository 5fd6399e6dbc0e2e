#pragma once
/// Skinning weights from a volume that does not learn.
#include <fmgs/core/diffuse.h>
#include <fmgs/fields/skinning.h>

namespace fmgs {

/// Trilinear weights of a volume (core/diffuse.h), in the place of the paper's field (9): a
/// Skinning without parameters, defined outside of the body as well.
class SkinningVolumeImpl : public Skinning {
  public:
    /// Error unless the volume is [J,R,R,R] with a box [2,3].
    explicit SkinningVolumeImpl(const Volume& weights);
    torch::Tensor forward(const torch::Tensor& x) override;
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    Volume volume_;  // buffers
};
TORCH_MODULE(SkinningVolume);

}  // namespace fmgs
