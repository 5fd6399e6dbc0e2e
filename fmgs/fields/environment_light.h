#pragma once
/// Light from infinitely far away, as a picture of all directions, and what surfaces of a given
/// roughness see of it.
///
/// Pictures are equirectangular, [H,2H,3] of linear radiance: rows from straight up to straight
/// down, columns to the right. In the light's frame x points right, y up, and the middle of the
/// picture is -z.
#include <fmgs/core/constant.h>
#include <fmgs/core/module.h>
#include <fmgs/core/parameter_group.h>

#include <array>

namespace fmgs {

/// The roughnesses o for which light is filtered. A GGX lobe of o = 1 is the cosine: the last level
/// is what a matt surface reflects.
inline constexpr std::array<double, 5> kLightLevels{0.3, 0.5, 0.7, 0.85, 1.0};

/// Unit directions of the M = 2H² texels, row by row, [M,3] double, and their solid angles [M],
/// which sum to 4π: (2π/2H)(cos θ_j - cos θ_j+1).
torch::Tensor texel_directions(int64_t rows);
torch::Tensor texel_solid_angles(int64_t rows);

/// max(r·l, 0) · D(h; o²) · dω for directions r (rows) and l (columns) of the texels, h halfway
/// between them and D the GGX distribution, for each level: [L,M,M] double. Rows of the last sum to
/// 1 as far as the texels are small.
torch::Tensor light_filters(int64_t rows);

/// An equirectangular picture [h,w,3] with `rows` rows and twice as many columns: the mean over the
/// area, so that Σ L dω stays. [H,2H,3].
torch::Tensor resampled_light(const torch::Tensor& picture, int64_t rows);

/// What surfaces see of a light.
class FilteredLight {
  public:
    /// radiance: [H,2H,3] linear. axes: [3,3] world → the light's frame. Light is linear: that of
    /// L₁ + L₂ is the sum of both.
    FilteredLight(const torch::Tensor& radiance, const torch::Tensor& axes);
    /// Mean radiance over the cosine lobe of unit normals [P,3], world: [P,3]. A white matt surface
    /// looks like that.
    torch::Tensor diffuse(const torch::Tensor& normal) const;
    /// Mean radiance over the lobes around unit directions [P,3] (a view direction mirrored in the
    /// normal) of surfaces of roughness [P,1], levels interpolated and held at the first: [P,3].
    torch::Tensor specular(const torch::Tensor& direction, const torch::Tensor& roughness) const;

  private:
    torch::Tensor look_up(const torch::Tensor& maps, const torch::Tensor& direction) const;

    torch::Tensor maps_;  // [1,3L,H+2,2H+2] filtered, continued around the seam and over the poles
    torch::Tensor axes_;
};

/// A light that can be learned. Of albedo times light no picture tells the two scales apart, so the
/// light's is fixed: its mean over all directions is `level`, 1 in each channel while it is
/// learned.
///   L = level · exp(x) / mean(exp(x)),  x = log_radiance, 0 at first
class EnvironmentLightImpl : public Module, public ParameterGroups {
  public:
    explicit EnvironmentLightImpl(int64_t rows = 16);
    torch::Tensor radiance() const;                        ///< [H,2H,3]
    const torch::Tensor& level() const { return level_; }  ///< [3] its mean over all directions
    /// Not `open`: without a gradient.
    FilteredLight filtered(bool open = true) const;
    /// Becomes the light of this picture [h,w,3], as it stands, without a gradient; axes [3,3]:
    /// world → its frame. Error: radiance that is negative, not finite, or 0 everywhere in a
    /// channel.
    void set(const torch::Tensor& picture, const torch::Tensor& axes);
    /// Turns the light in the world: `rotation` [3,3] takes a direction of it to the new one.
    void turn(const torch::Tensor& rotation);
    std::string parameter_group(const std::string&) const override { return "light"; }
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    torch::Tensor log_radiance_;  // parameter [H,2H,3]
    torch::Tensor level_, axes_;  // buffers [3], [3,3]
};
TORCH_MODULE(EnvironmentLight);

}  // namespace fmgs
