#pragma once
/// F_s (eq. 8) and any further modality: a volume and a decoder. value = mlp(V(μ)).
#include <fmgs/core/parameter_group.h>
#include <fmgs/fields/hash_grid.h>
#include <fmgs/fields/mlp.h>

namespace fmgs {

struct FeatureFieldOptions {
    HashGridOptions volume = {};
    int64_t channels = 28;
    int64_t hidden = 64;
    std::string folder;  ///< of the prior, relative to the capture; empty: priors/<name>

    template <class V>
    void visit(V& v) {
        v.group("volume", volume);
        v("channels", channels, "channels of the modality");
        v("hidden", hidden, "width of the decoder's hidden layer");
        v("folder", folder, "folder of its maps in the capture; empty: priors/<name>");
    }
};

struct FeatureSample {
    torch::Tensor latent;  ///< [N,32] f, as sampled from the volume
    torch::Tensor value;   ///< [N,K]
};

class FeatureFieldImpl : public torch::nn::Module, public ParameterGroups {
  public:
    FeatureFieldImpl(const FeatureFieldOptions& options, const torch::Tensor& box,
                     uint64_t seed = 0);
    virtual FeatureSample forward(const FixedPoints& at);
    const HashGrid& volume() const { return volume_; }
    std::string parameter_group(const std::string& name) const override {
        return name.starts_with("volume.") ? "feature_volume" : "";
    }

  private:
    HashGrid volume_{nullptr};
    Mlp mlp_{nullptr};
};
TORCH_MODULE(FeatureField);

}  // namespace fmgs
