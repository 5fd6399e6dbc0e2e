#include <fmgs/core/surfels.h>

#include <fmgs/core/check.h>
#include <fmgs/core/surfel_rows.h>

#include <algorithm>
#include <iterator>

namespace fmgs {

namespace {

struct Column {
    const char* name;
    bool Reach::*open;
};

constexpr Column kGeometry[] = {{"position", &Reach::position},
                                {"rotation", &Reach::rotation},
                                {"scale", &Reach::scale},
                                {"opacity", &Reach::opacity},
                                {"skinning", &Reach::skinning}};

}  // namespace

Reach Reach::everything() { return {true, true, true, true, true, true, {}}; }

Reach Reach::of(const std::vector<std::string>& columns) {
    Reach reach;
    for (const auto& name : columns) {
        const auto* column = std::find_if(std::begin(kGeometry), std::end(kGeometry),
                                          [&](const Column& c) { return name == c.name; });
        if (name == "everything") {
            reach = everything();
        } else if (column != std::end(kGeometry)) {
            reach.*(column->open) = true;
        } else {
            reach.features.insert(name);
        }
    }
    reach.check();
    return reach;
}

std::vector<std::string> Reach::fixed_columns() {
    std::vector<std::string> names;
    for (const auto& column : kGeometry) names.emplace_back(column.name);
    names.emplace_back("everything");
    return names;
}

void Reach::check() const {
    if (skinning && !position)
        throw Error(
            "reach: 'skinning' is open and 'position' is not, but the weights are sampled at the "
            "position, which would move with them; open it too or drop 'skinning'");
}

bool Reach::same_geometry(const Reach& other) const {
    return position == other.position && rotation == other.rotation && scale == other.scale &&
           opacity == other.opacity && skinning == other.skinning;
}

PixelShader closed(PixelShader shader) {
    return [shader = std::move(shader)](const torch::Tensor& own, const Maps& drawn,
                                        const Camera& camera,
                                        bool) { return shader(own, drawn, camera, false); };
}

torch::Tensor blend_bones(const torch::Tensor& skinning, const torch::Tensor& bones) {
    return torch::matmul(skinning, bones.reshape({-1, 16})).view({-1, 4, 4});
}

// This file is the only place that detaches surfels (routing table: losses/routes.h).
namespace {

torch::Tensor cut_unless(bool open, const torch::Tensor& x) { return open ? x : x.detach(); }

Maps cut_unless(const Reach& reach, const Maps& maps, const std::string& suffix) {
    Maps out;
    for (const auto& [name, value] : maps)
        out.set(name, cut_unless(reach.feature(name + suffix), value));
    return out;
}

// What a shader finds is a feature: its own column is cut as well.
std::vector<std::pair<std::string, Shader>> cut_unless(
    const Reach& reach, std::vector<std::pair<std::string, Shader>> shaded) {
    for (auto& [name, shader] : shaded) {
        if (reach.feature(name)) continue;
        shader = [open = std::move(shader)](const Surfels& canonical, const PosedSurfels& posed) {
            return cut_unless(false, open(canonical, posed));
        };
    }
    return shaded;
}

PixelShaders cut_unless(const Reach& reach, PixelShaders shaders) {
    for (auto& [name, shader] : shaders)
        if (!reach.feature(name)) shader = closed(std::move(shader));
    return shaders;
}

torch::Tensor cut_code(bool open, const torch::Tensor& code) {
    return code.defined() ? cut_unless(open, code) : code;
}

}  // namespace

Maps restricted(const Maps& features, const Reach& reach) {
    return cut_unless(reach, features, "");
}

Surfels Surfels::restricted(const Reach& reach) const {
    return {.position = cut_unless(reach.position, position),
            .rotation = cut_unless(reach.rotation, rotation),
            .scale = cut_unless(reach.scale, scale),
            .opacity = cut_unless(reach.opacity, opacity),
            .skinning = cut_unless(reach.skinning, skinning),
            .bones = cut_unless(reach.skinning, bones),
            .features = fmgs::restricted(features, reach),
            .latents = cut_unless(reach, latents, ".latent"),
            .shaded = cut_unless(reach, shaded),
            .pixel_shaders = cut_unless(reach, pixel_shaders),
            .far_side = far_side,
            .mip = mip,
            // Codes are no column of a loss: only `everything` keeps them.
            .pose_code = cut_code(reach.all_features, pose_code),
            .geometry_code = cut_code(reach.all_features, geometry_code)};
}

detail::PosedRows detail::posed_by_operators(const Surfels& s, const torch::Tensor& T_center,
                                             const torch::Tensor& T_tangent) {
    // (11) μ_o = T μ′
    const auto center =
        torch::matmul(T_center.narrow(1, 0, 3).narrow(2, 0, 3), s.position.unsqueeze(2))
            .squeeze(2) +
        T_center.narrow(1, 0, 3).select(2, 3);
    // (12) R_o = T₃ R′, its two tangents pushed forward exactly: no orthonormalisation
    const auto T3 = T_tangent.narrow(1, 0, 3).narrow(2, 0, 3);
    const auto directions = torch::matmul(T3, s.rotation.narrow(2, 0, 2));
    const auto cross = torch::cross(directions.select(2, 0), directions.select(2, 1), 1);
    const auto normal = cross / (cross.square().sum(1, true) + 1e-24).sqrt();
    return {center, directions * s.scale.unsqueeze(1), normal};
}

PosedSurfels Surfels::posed(const Reach& reach) const {
    const Surfels s = restricted(reach);
    const auto T = blend_bones(s.skinning, s.bones);  // (10)
    const auto T_center = cut_unless(reach.position, T);
    const auto T_tangent = cut_unless(reach.rotation, T);

    auto [center, tangents, normal] =
        detail::takes_rows(s.position)
            ? detail::posed_rows(s.position, s.rotation, s.scale, T_center, T_tangent)
            : detail::posed_by_operators(s, T_center, T_tangent);
    PosedSurfels posed{center,    tangents, normal,
                       s.opacity, {},       cut_unless(reach.position && reach.rotation, T),
                       far_side,  mip,      s.pixel_shaders};
    Maps columns = s.features;
    for (const auto& [name, shader] : s.shaded) columns.set(name, shader(s, posed));
    posed.features = std::move(columns);
    return posed;
}

}  // namespace fmgs
