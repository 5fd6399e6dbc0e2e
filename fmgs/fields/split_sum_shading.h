#pragma once
/// What a light makes of a material: the split sum (Karis 2013), without losing or making energy.
#include <fmgs/fields/environment_light.h>

namespace fmgs {

/// Materials of P points, linear in light.
struct Materials {
    torch::Tensor
        albedo;  ///< [P,3] in [0,1]: of light that gets below the surface, what comes back
    torch::Tensor roughness;  ///< [P,1] o in (0,1]; α = o²
    torch::Tensor f0;         ///< [P,1] or [P,3] in [0,1]: reflectance at normal incidence
};

/// The share of a white light that a rough mirror reflects is f₀·A + B, with GGX, height-correlated
/// Smith shadowing and Schlick's Fresnel term. (A, B) [P,2] for the cosine of the view n·v [P,1]
/// and roughness [P,1], from a table that is integrated once: [64,64] cells, 1024 samples each.
torch::Tensor split_sum(const torch::Tensor& n_v, const torch::Tensor& roughness);

/// spec = f₀·A + B is what the surface reflects; what it lets in comes back by albedo:
///   rgb = (1 - spec)·albedo·diffuse(n) + spec·specular(r, o),  r = 2(n·v)n - v
/// So nothing is brighter than the light. normal, view: [P,3] unit, world; view points to the eye,
/// and the normal to its side. Returns [P,3], linear.
torch::Tensor shade(const Materials& materials, const torch::Tensor& normal,
                    const torch::Tensor& view, const FilteredLight& light);

}  // namespace fmgs
