#pragma once
/// F_c (eq. 7): colour from V_c(μ), z_g, Z_p and the canonicalised view direction in spherical
/// harmonics.
#include <fmgs/core/config/range.h>
#include <fmgs/core/module.h>
#include <fmgs/fields/field_input.h>
#include <fmgs/fields/material_options.h>
#include <fmgs/fields/mlp.h>

namespace fmgs {

/// Colour of the surfels: derive from it for an appearance of your own.
class Appearance : public Module, public ParameterGroups {
  public:
    using Module::Module;
    /// color [N,3] in [0,1].
    virtual torch::Tensor forward(const FieldInput& input) = 0;
    /// Does forward need input.posed? Then it is evaluated once for each route of the objective,
    /// with that route's posed surfel, and moves the surfel as far as the route allows.
    virtual bool reads_posed() const { return false; }
    /// What the colour is made of where that is maps of its own, such as albedo: their names,
    virtual std::vector<std::string> layer_names() const { return {}; }
    /// and themselves, name → [N,C], the same from everywhere. They are features of the surfels,
    /// and come back to forward() as input.layers.
    virtual Maps layers(const FieldInput&) { return {}; }
    /// Maps made pixel by pixel of what is drawn. One that is called color has the channels [N,C]
    /// that forward() gives, whatever they are.
    virtual PixelShaders pixel_shaders(const FieldInput&) { return {}; }
    /// Parameters that it owns directly; submodules speak for theirs.
    std::string parameter_group(const std::string& name) const override {
        return own_group(name, "network");
    }
};

struct AppearanceFieldOptions {
    std::string type = "field";
    HashGridOptions volume = {};
    int64_t hidden = 64;
    /// degrees: the training-time turn of all view directions (3DGS-Avatar)
    double view_noise = 45;
    MaterialOptions material = {};

    template <class V>
    void visit(V& v) {
        v("type", type, "field: the paper's (eq. 7); material: what a light makes of materials");
        v.group("volume", volume);
        v("hidden", hidden, Range::of(1, 4096), "width of the hidden layer");
        v("view_noise", view_noise, Range::of(0, 180),
          "training noise on the view direction, degrees");
        v.group("material", material, "of the type material alone");
    }
};

/// Real spherical harmonics of degree 1–3 of unit directions [N,3], without the constant: [N,15].
/// Orthonormal on the sphere, ∫ Y_lm Y_l'm' = δ; column l² + l + m - 1 is degree l, order m = -l …
/// l, with the Condon–Shortley sign (-1)^m: -√(3/4π)·(y, -z, x) first. The order and signs of 3D
/// Gaussian splatting.
torch::Tensor spherical_harmonics(const torch::Tensor& direction);

class AppearanceFieldImpl : public Appearance {
  public:
    AppearanceFieldImpl(const AppearanceFieldOptions& options, const torch::Tensor& box,
                        int64_t geometry_code_width, int64_t pose_code_width, uint64_t seed = 0);
    /// Reads at, geometry_code, pose_code and direction, which `random` (training) turns. Returns
    /// color [N,3] in (0,1).
    torch::Tensor forward(const FieldInput& input) override;
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    AppearanceFieldOptions options_;
    int64_t geometry_code_width_, pose_code_width_;
    HashGrid volume_{nullptr};
    Mlp mlp_{nullptr};
};
TORCH_MODULE(AppearanceField);

}  // namespace fmgs
