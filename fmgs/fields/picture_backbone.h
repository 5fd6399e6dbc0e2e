#pragma once
/// Features of a picture of a person, for what is read off it (HRAvatar's encoder).
#include <fmgs/core/module.h>
#include <fmgs/core/parameter_group.h>

#include <filesystem>

namespace fmgs {

/// What makes features of pictures: derive from it for a network of your own.
class PictureBackbone : public Module, public ParameterGroups {
  public:
    using Module::Module;
    /// pictures: [B,3,S,S] RGB in [0,1]. Returns [B,width()], each row of its own picture alone.
    virtual torch::Tensor forward(const torch::Tensor& pictures) = 0;
    virtual int64_t width() const = 0;
    std::string parameter_group(const std::string& name) const override {
        return own_group(name, "picture_encoder");
    }
};

/// Five 3×3 convolutions of stride 2 with leaky ReLU between them, of c, 2c, 4c, 8c and 8c
/// channels, and the mean over what is left of the picture. Beside the colours they read where a
/// pixel is, which a mean forgets.
class ConvBackboneImpl : public PictureBackbone {
  public:
    explicit ConvBackboneImpl(int64_t channels = 16, uint64_t seed = 0);
    torch::Tensor forward(const torch::Tensor& pictures) override;
    int64_t width() const override { return 8 * channels_; }
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    int64_t channels_;
    std::vector<torch::Tensor> weights_, biases_;
};
TORCH_MODULE(ConvBackbone);

/// The network of a TorchScript file, as its maker trained it: nothing of it is learned here.
/// [B,3,S,S] → [B,C], or [B,C,h,w], whose mean over the places is taken.
class ScriptedBackboneImpl : public PictureBackbone {
  public:
    /// size: S. Error, naming the file: as load_torchscript's, the network fails on a picture of
    /// this size, or answers something else.
    ScriptedBackboneImpl(const std::filesystem::path& file, int64_t size);
    ~ScriptedBackboneImpl() override;
    torch::Tensor forward(const torch::Tensor& pictures) override;
    int64_t width() const override { return width_; }
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

    struct Network;  // of the .cpp alone

  private:
    std::filesystem::path file_;
    int64_t size_, width_ = 0;
    std::unique_ptr<Network> network_;
};
TORCH_MODULE(ScriptedBackbone);

}  // namespace fmgs
