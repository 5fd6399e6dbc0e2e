#pragma once
/// A fully connected network, LeakyReLU(0.01) between the layers, none at the end.
#include <fmgs/core/parameter_group.h>
#include <torch/nn/module.h>

#include <optional>
#include <vector>

namespace fmgs {

class MlpImpl : public torch::nn::Module, public ParameterGroups {
  public:
    /// widths: input, hidden…, output. Uniform ±1/√fan_in from `seed`.
    explicit MlpImpl(const std::vector<int64_t>& widths, uint64_t seed = 0);
    /// x: [N,widths.front()]. Returns [N,widths.back()].
    torch::Tensor forward(const torch::Tensor& x);
    /// The same network fed [x, constant] where every row has the same constant: x [N,A], constant
    /// [B], A + B = widths.front(). The constant joins the bias of the first layer, so it costs
    /// nothing per row.
    torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& constant);
    /// In train(), the mode in which a module is born, the products of all layers but the last are
    /// taken in this type, say bfloat16; else in that of the parameters.
    void train_in(std::optional<at::ScalarType> type) { type_ = type; }
    /// Sets rows [first, first+count) of the last layer to zero.
    void zero_outputs(int64_t first, int64_t count);
    std::string parameter_group(const std::string&) const override { return "network"; }

  private:
    torch::Tensor through(const torch::Tensor& x, std::vector<torch::Tensor> weights,
                          std::vector<torch::Tensor> biases) const;

    std::optional<at::ScalarType> type_;
    std::vector<torch::Tensor> weights_, biases_;  // parameters weight0, bias0, …
};
TORCH_MODULE(Mlp);

}  // namespace fmgs
