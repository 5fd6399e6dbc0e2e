#pragma once
/// Z_p: LEAP's hierarchical pose encoder (Mihajlovic et al. 2021), J × 6 then linear to 16.
#include <fmgs/core/random.h>
#include <torch/nn/module.h>

namespace fmgs {

struct PoseEncoderOptions {
    int64_t width = 16;       ///< of the code
    double noise = 0.1;       ///< σ of the training noise on the rotation entries
    double noise_share = 0.5; ///< share of the steps that get it

    template <class V>
    void visit(V& v) {
        v("width", width, "width of the pose code");
        v("noise", noise, "training noise on the encoder's input, standard deviation");
        v("noise_share", noise_share, "share of the steps with noise");
    }
};

class PoseEncoderImpl : public torch::nn::Module {
  public:
    /// joints: [J,3] rest joints; vertices: [V,3] of the shaped template, for the normalisation (recipe: Jn = 2((J-c-m+.05Rg)/(1.1Rg)-.5)).
    PoseEncoderImpl(const torch::Tensor& parents, const torch::Tensor& joints, const torch::Tensor& vertices,
                    const PoseEncoderOptions& options = {}, uint64_t seed = 0);
    /// rotations: [J,3,3] local; the root's is ignored (identity). Returns Z_p [width]. With `random` (training) the input is perturbed.
    torch::Tensor forward(const torch::Tensor& rotations, const Random* random = nullptr);
    int64_t width() const;
};
TORCH_MODULE(PoseEncoder);

}  // namespace fmgs
