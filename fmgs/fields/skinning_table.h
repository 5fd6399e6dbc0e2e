#pragma once
/// Skinning weights of every surfel as parameters of its own (HRAvatar), in the place of the field.
#include <fmgs/fields/skinning.h>

namespace fmgs {

/// W = softmax(logits), logits [N,J] born as log max(W₀, 1e-5) of the template's weights W₀. So
/// rows sum to one and no weight is dead: one that is born as 0 may wake, which the ReLU of
/// HRAvatar, without a gradient at 0, forbids. The floor moves a surfel by at most 0.25 mm per
/// metre between what its bones make of it.
class SkinningTableImpl : public Skinning {
  public:
    /// weights: [N,J] W₀, rows sum to one. pivot: [3] joint 0 in the canonical pose, for a further
    /// joint J of weight 0 that goes with this point and never turns; undefined: none.
    explicit SkinningTableImpl(const torch::Tensor& weights, const torch::Tensor& pivot = {});
    /// x: [N,3] the surfels; their places do not matter.
    torch::Tensor forward(const torch::Tensor& x) override;
    torch::Tensor bones(const torch::Tensor& body) const override;
    /// [N,J], with a column of zeros for the further joint: W₀.
    const torch::Tensor& born() const { return born_; }
    std::string parameter_group(const std::string&) const override { return "skinning_table"; }
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    torch::Tensor born_, pivot_;  // buffers; pivot_ with the further joint only
    torch::Tensor logits_;        // parameter [N,J], or [N,J+1]
};
TORCH_MODULE(SkinningTable);

}  // namespace fmgs
