#pragma once
/// Z_p: LEAP's hierarchical pose encoder (Mihajlovic et al. 2021), J × 6 then linear to 16.
#include <fmgs/core/config/range.h>
#include <fmgs/core/module.h>
#include <fmgs/core/parameter_group.h>
#include <fmgs/core/random.h>

namespace fmgs {

struct PoseEncoderOptions {
    std::string type = "leap";
    int64_t width = 16;        ///< of the code
    double noise = 0.1;        ///< σ of the training noise on the rotation entries
    double noise_share = 0.5;  ///< share of the steps that get it

    template <class V>
    void visit(V& v) {
        v("type", type, "leap: the hierarchical encoder of LEAP");
        v("width", width, Range::of(1, 4096), "width of the pose code");
        v("noise", noise, Range::at_least(0),
          "training noise on the encoder's input, standard deviation");
        v("noise_share", noise_share, Range::of(0, 1), "share of the steps with noise");
    }
};

/// Z_p = linear(concatenated codes c_j); c_j = linear(relu(linear([R_j, J_j, ‖J_j − J_parent‖,
/// c_parent]))), private to each joint; the "parent" of the root is a linear image of all rotations
/// and joints. Joints of equal depth in the tree are evaluated together.
class PoseEncoderImpl : public Module, public ParameterGroups {
  public:
    /// parents: [J] int64, parents[0] = −1, parents[j] < j. joints: [J,3] rest joints; vertices:
    /// [V,3] of the shaped template, for the normalisation 2((joint − c − m + 0.05·Rg)/(1.1·Rg) −
    /// 0.5), c the mean, m and m + Rg the extremes of vertices − c.
    PoseEncoderImpl(const torch::Tensor& parents, const torch::Tensor& joints,
                    const torch::Tensor& vertices, const PoseEncoderOptions& options = {},
                    uint64_t seed = 0);
    /// rotations: [J,3,3] local; the root's is ignored (identity). Returns Z_p [width]. With
    /// `random` (training) the input is perturbed.
    torch::Tensor forward(const torch::Tensor& rotations, const Random* random = nullptr);
    int64_t width() const { return options_.width; }
    std::string parameter_group(const std::string&) const override { return "network"; }
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

    /// What the constructor makes of the body.
    struct Tree {
        std::vector<int64_t> level_sizes;  ///< joints per depth
        torch::Tensor order, parent_slot;  ///< [J] joint by depth; its parent's place a level above
        torch::Tensor rest;                ///< [J,4] in that order: normalised joint, bone length
    };
    PoseEncoderImpl(const Tree& tree, const PoseEncoderOptions& options, uint64_t seed = 0);

  private:
    PoseEncoderOptions options_;
    std::vector<int64_t> level_sizes_;
    torch::Tensor order_, parent_slot_, rest_;   // buffers, as in Tree
    torch::Tensor global_weight_, global_bias_;  // [6,12J], [6]
    torch::Tensor hidden_weight_, hidden_bias_;  // [J,19,19], [J,19,1], in that order
    torch::Tensor code_weight_, code_bias_;      // [J,6,19], [J,6,1]
    torch::Tensor output_weight_, output_bias_;  // [width,6J], [width]
};
TORCH_MODULE(PoseEncoder);

}  // namespace fmgs
