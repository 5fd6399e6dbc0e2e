#pragma once
/// LPIPS (Zhang et al., CVPR 2018; version 0.1): the distance of two pictures in the features of a
/// network, as a metric and as a loss.
#include <fmgs/core/module.h>
#include <fmgs/core/tensor_dict.h>
#include <fmgs/losses/loss.h>

#include <filesystem>
#include <optional>
#include <vector>

namespace fmgs {

/// The networks that LPIPS looks through: the convolutions of VGG16 (Simonyan and Zisserman 2015)
/// and of AlexNet (Krizhevsky 2014), both as in torchvision.
enum class LpipsNetwork { vgg, alex };

/// Σ_l mean over pixels of Σ_c w_lc (f̂_lc(x) - f̂_lc(y))²: f̂ are the features after five of the
/// network's ReLUs, divided by their length over the channels + 1e-10; w ≥ 0 are learned. Before
/// the network (p + 0.030, p + 0.088, p + 0.188) / (0.458, 0.448, 0.450).
///
/// The weights stay as they are; gradients reach both pictures.
class LpipsImpl : public Module {
  public:
    /// conv.K.weight [out,in,k,k], conv.K.bias [out] of every convolution (13, or AlexNet's 5), and
    /// linear.K [C] of the five taps. Error: one that is missing, unknown or of another shape, not
    /// finite, or a negative linear weight.
    LpipsImpl(LpipsNetwork network, const TensorDict& weights);

    /// Pictures [3,H,W] in [0,1] → scalar. `scaled`: they are brought to [-1,1] first, as the
    /// network expects them; several evaluators leave that out, which lowers the distance. Error:
    /// a side is below least_side().
    torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& y, bool scaled = true) const;
    LpipsNetwork network() const { return network_; }
    int64_t least_side() const;  ///< pixels: what the network's steps leave one feature of
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    std::vector<torch::Tensor> features(const torch::Tensor& picture) const;

    LpipsNetwork network_;
    std::vector<torch::Tensor> kernels_, biases_, linear_;  // buffers
    torch::Tensor shift_, scale_;                           // buffers [1,3,1,1]
};
TORCH_MODULE(Lpips);

/// A network from a safetensors file, format "fmgs-lpips 1", as tools/export_lpips.py makes it of
/// torchvision's network and LPIPS' linear weights. `option`: the key that names the file, for
/// messages. Error: not there, something else, or not of this network where one is expected.
Lpips read_lpips(const std::filesystem::path& file, const std::string& option,
                 std::optional<LpipsNetwork> expected = std::nullopt);
/// The same file of these weights.
void write_lpips(const std::filesystem::path& file, LpipsNetwork network,
                 const TensorDict& weights);

struct LpipsOptions {
    std::string weights;  ///< a file for read_lpips

    template <class V>
    void visit(V& v) {
        v.path("weights", weights, "network and weights: a file that tools/export_lpips.py makes");
    }
};

/// LPIPS in [-1,1] within the box of the true mask, as 3DGS-Avatar trains with; the box grows to
/// the network's least side. Its corners are read back from the device. The network is read from
/// its file, and no part of a checkpoint.
class LpipsLoss : public Loss {
  public:
    /// Error: options.weights is empty, or no such file.
    explicit LpipsLoss(const LpipsOptions& options);
    std::vector<std::string> needs() const override { return {"color"}; }
    std::vector<std::string> targets() const override { return {"color", "mask"}; }
    torch::Tensor forward(const LossInput& input) override;

  private:
    Lpips network_{nullptr};  // not registered
};

}  // namespace fmgs
