#include <fmgs/avatar.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/names.h>
#include <fmgs/core/rotation.h>
#include <fmgs/fields/material.h>
#include <fmgs/fields/skinning_table.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

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

std::optional<Random> value_of(const Random* random) {
    return random ? std::optional(*random) : std::nullopt;
}

/// What the appearance made of its layers are features by now.
Maps layers_of(const Appearance& appearance, const Maps& features) {
    Maps out;
    for (const auto& name : appearance.layer_names()) out.set(name, features.at(name));
    return out;
}

void check_type(const torch::Tensor& x, const torch::Tensor& avatar, const char* name) {
    if (!x.defined() || x.scalar_type() == avatar.scalar_type()) return;
    throw Error(fmt::format("{}: expected {} like the avatar, got {}; convert one with to(dtype)",
                            name, c10::toString(avatar.scalar_type()),
                            c10::toString(x.scalar_type())));
}

}  // namespace

AvatarOptions AvatarOptions::before_all_keys() {
    AvatarOptions options;
    options.surfels.far_side = 1;
    options.surfels.mip = false;
    return options;
}

Surfels AvatarImpl::forward(const Camera& camera, const BodyPose& pose, const Random* random,
                            double progress) {
    const auto& [body, surfels, blendshapes, projection, encoder, geometry, skinning, appearance,
                 features] = parts_;
    check_type(pose.rotations, centers_.centers(), "rotations of the pose");
    check_type(pose.bones, centers_.centers(), "bones of the pose");
    FieldInput in{.at = centers_, .random = value_of(random), .progress = progress};

    Surfels s;
    // Z_p. What conditions fields is the pose detached: bones are the only path to θ_p.
    const auto angles = body->local_rotations(pose).detach();
    const bool is_projected = projection && !is_training();
    s.pose_code = encoder->forward(is_projected ? projection->forward(angles) : angles, random);
    s.position = surfels->position();  // (2)
    s.rotation = surfels->rotation();
    auto normal = surfels->normal();
    if (blendshapes) {
        const auto motion = blendshapes->forward(angles);
        s.position = s.position + motion.offset;
        s.rotation = torch::matmul(motion.turn, s.rotation);
        normal = torch::matmul(motion.turn, normal.unsqueeze(2)).squeeze(2);
    }
    s.scale = surfels->scale();
    s.opacity = surfels->opacity();
    s.far_side = surfels->far_side();
    s.mip = surfels->mip();
    s.geometry_code = torch::empty({s.size(), 0}, centers_.centers().options());
    in.pose_code = s.pose_code;
    in.position = s.position.detach();  // a field is told where it is; it moves nothing by that
    if (geometry) {
        const auto delta = geometry->forward(in);  // (3)
        const bool free = delta.offset.size(1) == 3;
        s.position = s.position + (free ? delta.offset : normal * delta.offset);  // (4)
        s.scale = s.scale * delta.scale.exp();                                    // (5)
        s.rotation = turned(s.rotation, delta.rotation);                          // (6)
        s.geometry_code = delta.code;
    }
    in.geometry_code = s.geometry_code;
    in.position = s.position.detach();           // likewise
    s.skinning = skinning->forward(s.position);  // (9)
    s.bones = skinning->bones(body->bones(pose));
    for (const auto& [name, value] : appearance->layers(in)) s.features.set(name, value);
    s = seen_from(std::move(s), camera, random, progress);  // (7)
    for (const auto& [name, field] : features) {
        if (field->reads_posed()) continue;
        const auto sample = field->forward(in);  // (8)
        s.features.set(name, sample.value);
        if (sample.latent.defined()) s.latents.set(name, sample.latent);
    }
    return s;
}

Surfels AvatarImpl::seen_from(Surfels s, const Camera& camera, const Random* random,
                              double progress) const {
    check_type(camera.rotation, centers_.centers(), "rotation of the camera");
    if (!s.pose_code.defined() || !s.geometry_code.defined())
        throw Error("seen_from: expected surfels that this avatar's forward() returned");
    // The view direction moves nothing: position, T and camera enter it detached.
    const auto T = blend_bones(s.skinning, s.bones).detach();
    const auto position = s.position.detach(), eye = camera.center().detach();  // likewise
    const auto observed =
        torch::matmul(T.narrow(1, 0, 3).narrow(2, 0, 3), position.unsqueeze(2)).squeeze(2) +
        T.narrow(1, 0, 3).select(2, 3);
    const FieldInput in{.at = centers_,
                        .position = position,
                        .pose_code = s.pose_code,
                        .geometry_code = s.geometry_code,
                        .direction = canonical_direction(observed, T, eye),
                        .eye = eye,
                        .layers = layers_of(*parts_.appearance, s.features),
                        .random = value_of(random),
                        .progress = progress};
    s.shaded.clear();
    s.pixel_shaders = parts_.appearance->pixel_shaders(in);
    // What reads the posed surfel waits for the reach at which it is posed.
    const auto shade = [&](const std::string& name, auto evaluate) {
        s.shaded.emplace_back(name, [=](const Surfels& canonical, const PosedSurfels& posed) {
            auto shaded = in;
            shaded.position = canonical.position;
            shaded.posed = &posed;
            return evaluate(shaded);
        });
    };
    if (const auto& field = parts_.appearance; field->reads_posed())
        shade("color", [field](const FieldInput& shaded) { return field->forward(shaded); });
    else
        s.features.set("color", field->forward(in));  // (7)
    for (const auto& [name, field] : parts_.features) {
        if (!field->reads_posed()) continue;
        shade(name, [field = field](const FieldInput& shaded) {
            return field->forward(shaded).value;  // (8)
        });
    }
    return s;
}

AvatarImpl::AvatarImpl(AvatarParts parts) : parts_(std::move(parts)) {
    const auto add = [&](const std::string& name, const std::string& member, const auto& part) {
        if (!part) throw Error(fmt::format("AvatarParts::{}: expected a part, got none", member));
        register_module(name, part);
    };
    add("body", "body", parts_.body);
    add("surfels", "surfels", parts_.surfels);
    if (parts_.blendshapes) add("blendshapes", "blendshapes", parts_.blendshapes);
    if (parts_.projection) add("projection", "projection", parts_.projection);
    add("encoder", "encoder", parts_.encoder);
    if (parts_.geometry) add("geometry", "geometry", parts_.geometry);
    add("skinning", "skinning", parts_.skinning);
    add("appearance", "appearance", parts_.appearance);
    for (const auto& [name, field] : parts_.features) {
        check_name("modality", name);
        const auto layers = parts_.appearance->layer_names();
        if (std::find(layers.begin(), layers.end(), name) != layers.end())
            throw Error(fmt::format(
                "modality '{}': the appearance has a map of this name; take another name", name));
        add("feature_" + name, "features: '" + name + "'", field);
    }
    centers_ = LocatedPoints(parts_.surfels->center());
}

std::shared_ptr<torch::nn::Module> AvatarImpl::clone(
    const std::optional<torch::Device>& device) const {
    std::map<const torch::nn::Module*, std::shared_ptr<torch::nn::Module>> copies;
    const auto copy = [&](const auto& part) {
        using Part = typename std::decay_t<decltype(part)>::element_type;
        if (!part) return part;
        auto& made = copies[part.get()];
        if (!made) made = part->clone(device);
        return std::dynamic_pointer_cast<Part>(made);
    };
    const auto& p = parts_;
    AvatarParts parts{copy(p.body),       copy(p.surfels),    copy(p.blendshapes),
                      copy(p.projection), copy(p.encoder),    copy(p.geometry),
                      copy(p.skinning),   copy(p.appearance), {}};
    for (const auto& [name, field] : p.features) parts.features.emplace_back(name, copy(field));
    auto made = std::make_shared<AvatarImpl>(std::move(parts));
    made->train(is_training());
    return made;
}

void AvatarImpl::fit_projection(const std::vector<BodyPose>& poses) {
    if (!parts_.projection) return;
    std::vector<torch::Tensor> rotations;
    for (const auto& pose : poses)
        rotations.push_back(parts_.body->local_rotations(pose).detach());  // constants
    parts_.projection->fit(torch::stack(rotations));
}

namespace {

/// Error for a part of an unknown type, or a number out of its range.
void check_options(const AvatarOptions& options) {
    check_ranges(options, "avatar");
    if (options.subdivisions < 0)
        throw Error(
            fmt::format("avatar.subdivisions: expected 0 or more, got {}", options.subdivisions));
    const auto expect = [](const std::string& key, const std::string& type,
                           std::initializer_list<std::string> types) {
        if (std::find(types.begin(), types.end(), type) != types.end()) return;
        throw Error(
            fmt::format("{}.type: expected {}, got '{}'", key, fmt::join(types, " or "), type));
    };
    expect("avatar.encoder", options.encoder.type, {"leap"});
    expect("avatar.geometry", options.geometry.type, {"field", "none"});
    expect("avatar.skinning", options.skinning.type, {"field", "table"});
    if (options.skinning.extra_joint && options.skinning.type != "table")
        throw Error(
            "avatar.skinning.extra_joint: only a table has one; set avatar.skinning.type "
            "to table");
    expect("avatar.appearance", options.appearance.type, {"field", "material"});

    check_grid(options.geometry.volume, "avatar.geometry.volume");
    check_grid(options.skinning.volume, "avatar.skinning.volume");
    check_grid(options.appearance.volume, "avatar.appearance.volume");
    for (const auto& [name, modality] : options.modalities) {
        check_ranges(modality, "modalities." + name);
        check_grid(modality.volume, "modalities." + name + ".volume");
        expect("modalities." + name, modality.type, {"field"});
    }
}

}  // namespace

AvatarParts paper_parts(std::shared_ptr<Body> body, const AvatarOptions& options, uint64_t seed) {
    if (!body) throw Error("paper_parts: body: expected a body, got none");
    check_options(options);
    const auto shape = canonical_template(*body, options.subdivisions);
    const auto box = padded_box(shape.mesh.vertices, options.box_padding);
    const auto seed_of = [&](std::string_view part) { return Random{seed}.number(part); };
    const bool has_geometry = options.geometry.type == "field";
    AvatarParts parts;
    parts.surfels = std::make_shared<SurfelSetImpl>(shape.mesh, options.surfels);
    if (options.blendshapes.any()) {
        parts.blendshapes = std::make_shared<TemplateBlendshapesImpl>(
            bases_of(*body), body->canonical(), options.subdivisions, options.blendshapes);
    }
    if (options.pose_projection.components > 0) {
        parts.projection =
            std::make_shared<PoseProjectionImpl>(turned_vertices(*body), options.pose_projection);
    }
    parts.encoder = std::make_shared<PoseEncoderImpl>(
        body->parents(), body->joints(), body->shaped(), options.encoder, seed_of("encoder"));
    if (has_geometry) {
        parts.geometry = std::make_shared<GeometryFieldImpl>(
            options.geometry, box, options.encoder.width, seed_of("geometry"));
    }
    if (options.skinning.type == "table") {
        parts.skinning = std::make_shared<SkinningTableImpl>(
            face_weights(shape),
            options.skinning.extra_joint ? body->joints()[0] : torch::Tensor());
    } else {
        parts.skinning = std::make_shared<SkinningFieldImpl>(
            options.skinning, box, body->joint_count(), seed_of("skinning"));
    }
    if (options.appearance.type == "material") {
        parts.appearance = std::make_shared<MaterialAppearanceImpl>(options.appearance, box,
                                                                    seed_of("appearance"));
    } else {
        parts.appearance = std::make_shared<AppearanceFieldImpl>(
            options.appearance, box, has_geometry ? options.geometry.code : 0,
            options.encoder.width, seed_of("appearance"));
    }
    for (const auto& [name, modality] : options.modalities) {
        parts.features.emplace_back(
            name, std::make_shared<FeatureFieldImpl>(modality, box, seed_of(name)));
    }
    parts.body = std::move(body);
    return parts;
}

Template canonical_template(const Body& body, int64_t subdivisions) {
    Template out{body.canonical(), body.weights()};
    for (int64_t k = 0; k < subdivisions; ++k) {
        auto finer = subdivide(out.mesh);
        out.weights = out.weights.index_select(0, finer.parents.reshape({-1}))
                          .view({-1, 2, out.weights.size(1)})
                          .mean(1);
        out.mesh = std::move(finer.mesh);
    }
    return out;
}

torch::Tensor face_weights(const Template& shape) {
    return shape.weights.index_select(0, shape.mesh.faces.reshape({-1}))
        .view({-1, 3, shape.weights.size(1)})
        .mean(1);
}

int64_t choose_subdivisions(const Body& body, const SurfelSetOptions& options, const Camera& camera,
                            const BodyPose& pose) {
    const auto scale =
        face_frames(body.canonical()).scale.prod(1).sqrt().median() * (0.5 * options.initial_scale);
    const auto distance = camera.to_camera(body.posed(pose)).select(1, 2).median();
    return (scale * camera.intrinsics[0] / distance).item<double>() >= 0.8 ? 1 : 0;
}

Surfels template_surfels(const Body& body, const SurfelSetImpl& surfels, int64_t subdivisions,
                         const BodyPose& pose) {
    const auto shape = canonical_template(body, subdivisions);
    Surfels s;
    s.position = surfels.position();
    s.rotation = surfels.rotation();
    s.scale = surfels.scale();
    s.opacity = surfels.opacity();
    s.far_side = surfels.far_side();
    s.mip = surfels.mip();
    s.skinning = face_weights(shape);
    s.bones = body.bones(pose);
    s.features.set("color", torch::full({s.size(), 3}, 0.5, s.position.options()));
    return s;
}

}  // namespace fmgs
