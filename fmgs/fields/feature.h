#pragma once
/// F_s (eq. 8) and any further modality: a volume and a decoder. value = mlp(V(μ)).
#include <fmgs/core/config/range.h>
#include <fmgs/core/module.h>
#include <fmgs/fields/field_input.h>
#include <fmgs/fields/mlp.h>

namespace fmgs {

struct FeatureFieldOptions {
    std::string type = "field";
    HashGridOptions volume = {};
    int64_t channels = 28;
    int64_t hidden = 64;
    std::string folder;  ///< of the prior, relative to the capture; empty: priors/<name>

    template <class V>
    void visit(V& v) {
        v("type", type, "field: the paper's volume and decoder (eq. 8)");
        v.group("volume", volume);
        v("channels", channels, Range::of(1, 4096), "channels of the modality");
        v("hidden", hidden, Range::of(1, 4096), "width of the decoder's hidden layer");
        v("folder", folder, "folder of its maps in the capture; empty: priors/<name>");
    }
};

struct FeatureSample {
    torch::Tensor latent;  ///< [N,32] f, as sampled from the volume; undefined where there is none
    torch::Tensor value;   ///< [N,K]
};

/// A further modality of the surfels: derive from it for one of your own.
class Feature : public Module, public ParameterGroups {
  public:
    using Module::Module;
    virtual FeatureSample forward(const FieldInput& input) = 0;
    /// As Appearance::reads_posed; such a feature has no latent for losses to read.
    virtual bool reads_posed() const { return false; }
    /// Parameters that it owns directly; submodules speak for theirs.
    std::string parameter_group(const std::string& name) const override {
        return own_group(name, "network");
    }
};

class FeatureFieldImpl : public Feature {
  public:
    FeatureFieldImpl(const FeatureFieldOptions& options, const torch::Tensor& box,
                     uint64_t seed = 0);
    /// Reads `at` alone.
    FeatureSample forward(const FieldInput& input) override;
    const HashGrid& volume() const { return volume_; }
    std::string parameter_group(const std::string& name) const override {
        return name.starts_with("volume.") ? "feature_volume" : "";
    }
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    FeatureFieldOptions options_;
    HashGrid volume_{nullptr};
    Mlp mlp_{nullptr};
};
TORCH_MODULE(FeatureField);

}  // namespace fmgs
