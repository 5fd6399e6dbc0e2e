#include <fmgs/fields/material.h>

#include <fmgs/core/check.h>
#include <fmgs/core/color_space.h>
#include <fmgs/core/config/config.h>
#include <torch/types.h>

namespace fmgs {
namespace {

/// low + (high - low)·sigmoid(x), `first` where x is 0.
torch::Tensor between(const torch::Tensor& x, double low, double high, double first) {
    return low + (high - low) * torch::sigmoid(x + std::log((first - low) / (high - first)));
}

torch::Tensor unit(const torch::Tensor& x) { return x / (x.square().sum(1, true) + 1e-24).sqrt(); }

/// Turned to the side of the eye: a comparison, which passes no gradient on.
torch::Tensor facing(const torch::Tensor& normal, const torch::Tensor& view) {
    return torch::where((normal * view).sum(1, true) < 0, -normal, normal);
}

/// Unit directions from what the pixels [H·W] see to the camera, world.
torch::Tensor pixel_views(const Camera& camera) {
    const auto f = camera.intrinsics;
    const auto options = f.options().requires_grad(false);
    const auto x = (torch::arange(camera.width, options) + 0.5 - f[2]) / f[0],
               y = (torch::arange(camera.height, options) + 0.5 - f[3]) / f[1];
    const auto grid = torch::meshgrid({y, x}, "ij");
    const auto ray = torch::stack({grid[1], grid[0], torch::ones_like(grid[0])}, 2).view({-1, 3});
    return -unit(torch::matmul(ray, camera.rotation));
}

/// [C,H,W] → [H·W,C].
torch::Tensor rows_of(const torch::Tensor& map) { return map.flatten(1).t(); }

}  // namespace

MaterialFieldImpl::MaterialFieldImpl(const AppearanceFieldOptions& options,
                                     const torch::Tensor& box, uint64_t seed)
    : options_(options) {
    check_ranges(options, "avatar.appearance");
    const Random random{seed};
    volume_ =
        register_module("volume", HashGrid(options.volume, box, random.number("material.volume")));
    mlp_ = register_module("mlp", Mlp(std::vector<int64_t>{volume_->width(), options.hidden, 5},
                                      random.number("material.mlp")));
}

Materials MaterialFieldImpl::forward(const LocatedPoints& at) {
    const auto x = mlp_->forward(volume_->forward(at));
    return {between(x.narrow(1, 0, 3), 0, 1, 0.5), between(x.narrow(1, 3, 1), 0.3, 1, 0.9),
            between(x.narrow(1, 4, 1), 0.02, 0.15, 0.04)};
}

std::shared_ptr<torch::nn::Module> MaterialFieldImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, options_, volume_->box());
}

MaterialAppearanceImpl::MaterialAppearanceImpl(const AppearanceFieldOptions& options,
                                               const torch::Tensor& box, uint64_t seed)
    : options_(options) {
    materials_ = register_module("materials", MaterialField(options, box, seed));
    light_ = register_module("light", EnvironmentLight(options.material.light_rows));
}

torch::Tensor MaterialAppearanceImpl::shown(const torch::Tensor& linear) const {
    return options_.material.srgb ? srgb_color(linear) : linear;
}

Maps MaterialAppearanceImpl::layers(const FieldInput& input) {
    const auto m = materials_->forward(input.at);
    return {{"albedo", shown(m.albedo)}, {"roughness", m.roughness}, {"f0", m.f0}};
}

torch::Tensor MaterialAppearanceImpl::colors(const Maps& layers, const torch::Tensor& normal,
                                             const torch::Tensor& view,
                                             const FilteredLight& light) const {
    const auto& albedo = layers.at("albedo");
    const Materials materials{options_.material.srgb ? linear_color(albedo) : albedo,
                              layers.at("roughness"), layers.at("f0")};
    return shown(shade(materials, facing(normal, view), view, light));
}

torch::Tensor MaterialAppearanceImpl::forward(const FieldInput& in) {
    const auto& layers = in.layers;
    if (options_.material.deferred)
        return torch::cat({layers.at("albedo"), layers.at("roughness"), layers.at("f0")}, 1);
    if (in.progress < options_.material.warm_up) return layers.at("albedo");
    if (!in.posed) throw Error("material appearance: expected the posed surfels, got none");
    auto normal = in.posed->normal, center = in.posed->center;
    if (!options_.material.shape_from_shading) {
        normal = normal.detach();  // shading moves no surfel
        center = center.detach();  // likewise
    }
    return colors(layers, normal, unit(in.eye - center), light_->filtered());
}

PixelShaders MaterialAppearanceImpl::pixel_shaders(const FieldInput& in) {
    // They outlive the call, and the avatar outlives them no less than its other shaders.
    const auto self = std::dynamic_pointer_cast<MaterialAppearanceImpl>(shared_from_this());
    const auto normals = [](const Maps& drawn, const Camera& camera) {
        return torch::matmul(rows_of(drawn.at("normal")), camera.rotation);
    };
    const auto on_black = [](const torch::Tensor& rows, const torch::Tensor& alpha) {
        return rows.t().reshape({3, alpha.size(1), alpha.size(2)}) * alpha;
    };
    PixelShaders out;
    out.emplace_back("shading",
                     [=](const auto&, const Maps& drawn, const Camera& camera, bool open) {
                         const auto normal = facing(normals(drawn, camera), pixel_views(camera));
                         return on_black(self->shown(self->light_->filtered(open).diffuse(normal)),
                                         drawn.at("alpha"));
                     });
    if (!options_.material.deferred) return out;
    const bool lit = in.progress >= options_.material.warm_up;
    out.emplace_back("color", [=](const torch::Tensor& own, const Maps& drawn, const Camera& camera,
                                  bool open) {
        if (!lit) return own.narrow(0, 0, 3);
        const auto& alpha = drawn.at("alpha");
        const auto mean = rows_of(own / alpha.clamp_min(1e-6));
        const Maps layers{{"albedo", mean.narrow(1, 0, 3)},
                          {"roughness", mean.narrow(1, 3, 1)},
                          {"f0", mean.narrow(1, 4, 1)}};
        auto normal = normals(drawn, camera);
        // Shading moves no surfel, unless it may.
        if (!self->options_.material.shape_from_shading) normal = normal.detach();
        return on_black(
            self->colors(layers, normal, pixel_views(camera), self->light_->filtered(open)), alpha);
    });
    return out;
}

void MaterialAppearanceImpl::relight(const EnvironmentLight& light) {
    light_ = replace_module("light", light);
}

std::shared_ptr<torch::nn::Module> MaterialAppearanceImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, options_, materials_->box());
}

}  // namespace fmgs
