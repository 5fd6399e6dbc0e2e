#pragma once
/// An appearance that can be lit otherwise: materials from a volume of their own, and a light that
/// stands still in the world (HRAvatar, on surfels of a body).
#include <fmgs/fields/appearance.h>
#include <fmgs/fields/split_sum_shading.h>

namespace fmgs {

/// F_m: materials of the surfels from V_m(μ), whatever the pose.
///   albedo = sigmoid(·), roughness in (0.3, 1), f0 in (0.02, 0.15);
/// at first grey, rough and dull: some 0.5, 0.9 and 0.04.
class MaterialFieldImpl : public Module, public ParameterGroups {
  public:
    /// Of the options volume and hidden count.
    MaterialFieldImpl(const AppearanceFieldOptions& options, const torch::Tensor& box,
                      uint64_t seed = 0);
    Materials forward(const LocatedPoints& at);
    const torch::Tensor& box() const { return volume_->box(); }
    std::string parameter_group(const std::string& name) const override {
        return own_group(name, "network");
    }
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    AppearanceFieldOptions options_;
    HashGrid volume_{nullptr};
    Mlp mlp_{nullptr};
};
TORCH_MODULE(MaterialField);

/// Materials under a light. Layers: albedo [N,3] as it looks in a light of 1 (sRGB where pictures
/// are), roughness and f0 [N,1]. Maps beside the colour: shading, what the light makes of white
/// matt paint. Normals are turned to the eye, and normals and places are those of the posed surfel,
/// or of the pixel (`deferred`). Until `warm_up` colour is albedo, and only with
/// `shape_from_shading` does shading move surfels.
class MaterialAppearanceImpl : public Appearance {
  public:
    MaterialAppearanceImpl(const AppearanceFieldOptions& options, const torch::Tensor& box,
                           uint64_t seed = 0);
    /// color [N,3] ≥ 0; deferred: the layers in one, [N,5]. Reads layers, progress, eye and posed.
    torch::Tensor forward(const FieldInput& input) override;
    bool reads_posed() const override { return !options_.material.deferred; }
    std::vector<std::string> layer_names() const override { return {"albedo", "roughness", "f0"}; }
    Maps layers(const FieldInput& input) override;
    PixelShaders pixel_shaders(const FieldInput& input) override;

    const AppearanceFieldOptions& options() const { return options_; }
    EnvironmentLight light() const { return light_; }
    /// Takes another light, of any size.
    void relight(const EnvironmentLight& light);
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    torch::Tensor shown(const torch::Tensor& linear) const;
    torch::Tensor colors(const Maps& layers, const torch::Tensor& normal, const torch::Tensor& view,
                         const FilteredLight& light) const;

    AppearanceFieldOptions options_;
    MaterialField materials_{nullptr};
    EnvironmentLight light_{nullptr};
};
TORCH_MODULE(MaterialAppearance);

}  // namespace fmgs
