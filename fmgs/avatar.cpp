
#include <fmgs/avatar.h>

#include <fmgs/core/check.h>
#include <fmgs/core/names.h>
#include <fmgs/core/rotation.h>
#include <fmt/format.h>

namespace fmgs {
namespace {

/// d̂ = T₃⁻¹ d, normalised: the view direction carried back to the canonical frame. The inverse is
/// taken up to a positive factor, sign(det)·adj(T₃), which is finite however sheared T₃ is.
/// position [N,3], T [N,4,4], camera centre [3]. Returns [N,3].
torch::Tensor canonical_direction(const torch::Tensor& observed, const torch::Tensor& T,
                                  const torch::Tensor& eye) {
    const auto d = observed - eye;
    const auto c0 = T.narrow(1, 0, 3).select(2, 0), c1 = T.narrow(1, 0, 3).select(2, 1),
               c2 = T.narrow(1, 0, 3).select(2, 2);
    const auto row0 = torch::cross(c1, c2, 1);
    const auto turned = torch::stack({(row0 * d).sum(1), (torch::cross(c2, c0, 1) * d).sum(1),
                                      (torch::cross(c0, c1, 1) * d).sum(1)},
                                     1);
    const auto side = torch::sign((row0 * c0).sum(1, true));
    return side * turned / (turned.square().sum(1, true) + 1e-24).sqrt();
}

}  // namespace

Template canonical_template(const BodyModel& body, int64_t subdivisions) {
    Template out{body->canonical(), body->weights()};
    for (int64_t k = 0; k < subdivisions; ++k) {
        auto finer = subdivide(out.mesh);
        out.weights = out.weights.index_select(0, finer.parents.reshape({-1}))
                          .view({-1, 2, out.weights.size(1)})
                          .mean(1);
        out.mesh = std::move(finer.mesh);
    }
    return out;
}

int64_t choose_subdivisions(const BodyModel& body, const SurfelSetOptions& options,
                            const Camera& camera, const BodyPose& pose) {
    const auto scale = face_frames(body->canonical()).scale.prod(1).sqrt().median() *
                       (0.5 * options.initial_scale);
    const auto distance = camera.to_camera(body->posed(pose)).select(1, 2).median();
    return (scale * camera.intrinsics[0] / distance).item<double>() >= 0.8 ? 1 : 0;
}

AvatarParts paper_parts(const BodyModel& body, const AvatarOptions& options, uint64_t seed) {
    if (options.subdivisions < 0)
        throw Error(
            fmt::format("avatar.subdivisions: expected 0 or more, got {}", options.subdivisions));
    const auto mesh = canonical_template(body, options.subdivisions).mesh;
    const auto box = padded_box(mesh.vertices, options.box_padding);
    const auto seed_of = [&](std::string_view part) { return Random{seed}.number(part); };

    AvatarParts parts;
    parts.body = body;
    parts.surfels = SurfelSet(mesh, options.surfels);
    parts.encoder = PoseEncoder(body->parents(), body->joints(), body->shaped(), options.encoder,
                                seed_of("encoder"));
    if (options.geometry_field) {
        parts.geometry = std::make_shared<GeometryFieldImpl>(
            options.geometry, box, options.encoder.width, seed_of("geometry"));
    }
    parts.skinning = std::make_shared<SkinningFieldImpl>(options.skinning, box, body->joint_count(),
                                                         seed_of("skinning"));
    parts.appearance =
        std::make_shared<AppearanceFieldImpl>(options.appearance, box, options.geometry.code,
                                              options.encoder.width, seed_of("appearance"));
    for (const auto& [name, modality] : options.modalities) {
        parts.features.emplace_back(
            name, std::make_shared<FeatureFieldImpl>(modality, box, seed_of(name)));
    }
    return parts;
}

AvatarImpl::AvatarImpl(AvatarParts parts) : parts_(std::move(parts)) {
    register_module("body", parts_.body);
    register_module("surfels", parts_.surfels);
    register_module("encoder", parts_.encoder);
    if (parts_.geometry) register_module("geometry", parts_.geometry);
    register_module("skinning", parts_.skinning);
    register_module("appearance", parts_.appearance);
    for (const auto& [name, field] : parts_.features) {
        check_name("modality", name);
        register_module("feature_" + name, field);
    }
    locate_surfels();
}

void AvatarImpl::locate_surfels() {
    std::vector<std::pair<HashGrid, FixedPoints>> found;
    const auto locate = [&](const HashGrid& volume) {
        for (const auto& [grid, at] : found) {
            if (volume->same_layout(*grid)) return at;
        }
        found.emplace_back(volume, volume->locate(parts_.surfels->position()));
        return found.back().second;
    };
    if (parts_.geometry) at_geometry_ = locate(parts_.geometry->volume());
    at_appearance_ = locate(parts_.appearance->volume());
    at_features_.clear();
    for (const auto& [name, field] : parts_.features)
        at_features_.push_back(locate(field->volume()));
}

void AvatarImpl::to(torch::Device device, bool non_blocking) {
    Module::to(device, non_blocking);
    locate_surfels();
}

Surfels AvatarImpl::forward(const Camera& camera, const BodyPose& pose, const Random* random,
                            double progress) {
    auto& [body, surfels, encoder, geometry, skinning, appearance, features] = parts_;
    // Z_p. The encoder reads the pose detached: bones are the only path to θ_p.
    const auto pose_code = encoder->forward(pose.rotations.detach(), random);

    Surfels s;
    s.position = surfels->position();  // (2)
    s.rotation = surfels->rotation();
    s.scale = surfels->scale();
    s.opacity = surfels->opacity();
    auto geometry_code =
        torch::zeros({surfels->size(), appearance->geometry_code_width()}, s.position.options());
    if (geometry && progress >= geometry->start()) {
        const auto delta = geometry->forward(at_geometry_, pose_code);  // (3)
        // (4)
        s.position = s.position +
                     (delta.offset.size(1) == 1 ? surfels->normal() * delta.offset : delta.offset);
        s.scale = s.scale * delta.scale.exp();                            // (5)
        s.rotation = torch::matmul(s.rotation, exp_map(delta.rotation));  // (6)
        geometry_code = delta.code;
    }

    s.skinning = skinning->forward(s.position);  // (9)
    s.bones = body->bones(pose);

    // The view direction moves nothing: position and T enter it detached.
    const auto T = blend_bones(s.skinning, s.bones).detach();
    const auto observed =
        torch::matmul(T.narrow(1, 0, 3).narrow(2, 0, 3), s.position.detach().unsqueeze(2))
            .squeeze(2) +
        T.narrow(1, 0, 3).select(2, 3);
    const auto direction = canonical_direction(observed, T, camera.center().detach());
    s.features.set("color", appearance->forward(at_appearance_, geometry_code, pose_code, direction,
                                                random));  // (7)
    for (size_t m = 0; m < features.size(); ++m) {
        const auto sample = features[m].second->forward(at_features_[m]);  // (8)
        s.features.set(features[m].first, sample.value);
        s.latents.set(features[m].first, sample.latent);
    }
    return s;
}

Surfels template_surfels(const BodyModel& body, const SurfelSet& surfels, int64_t subdivisions,
                         const BodyPose& pose) {
    const auto shape = canonical_template(body, subdivisions);
    Surfels s;
    s.position = surfels->position();
    s.rotation = surfels->rotation();
    s.scale = surfels->scale();
    s.opacity = surfels->opacity();
    s.skinning = shape.weights.index_select(0, shape.mesh.faces.reshape({-1}))
                     .view({-1, 3, shape.weights.size(1)})
                     .mean(1);
    s.bones = body->bones(pose);
    s.features.set("color", torch::full({s.size(), 3}, 0.5, s.position.options()));
    return s;
}

}  // namespace fmgs
