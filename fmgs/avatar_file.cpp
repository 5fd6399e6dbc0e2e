#include <fmgs/avatar_file.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/io/safetensors.h>
#include <fmgs/core/named_tensors.h>
#include <fmgs/fields/hash/hash_levels.h>
#include <fmgs/fields/material.h>
#include <fmgs/fields/skinning_table.h>
#include <fmt/format.h>

#include <typeinfo>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

constexpr const char* kKind = "fmgs-avatar";
// A format is read for ever. Raise it when an option is renamed or goes; load_avatar then brings
// older files up to date. An option that comes is missing in older files: before_all_keys().
constexpr int64_t kFormat = 1;

/// `options` in the metadata: the sections of config.yaml that make the parts.
struct OptionsText {
    AvatarOptions avatar;

    template <class V>
    void visit(V& v) {
        v.group("avatar", avatar);
        v.groups("modalities", avatar.modalities);
    }
};

/// Exactly of this class? One derived from it may do something else.
template <class Paper>
bool is(const torch::nn::Module& part) {
    return typeid(part) == typeid(Paper);
}

/// Numbers that a network of these widths has at least.
double network_size(int64_t hidden, int64_t layers, int64_t out) {
    if (hidden < 1 || layers < 1 || out < 1)
        throw Error("options: expected networks of at least one layer and one unit");
    return double(hidden) * (1 + double(hidden) * double(layers - 1) + double(out));
}

/// Numbers in a hash grid's table; 0 where the grid itself refuses these options.
double table_size(const HashGridOptions& o) {
    constexpr int64_t kMostLevels = 1024;
    if (o.levels > kMostLevels) throw Error(fmt::format("options: {} levels", o.levels));
    if (o.levels < 1 || o.base_resolution < 1 || o.finest_resolution < o.base_resolution ||
        o.log2_hashmap_size < 3 || o.log2_hashmap_size > 28)
        return 0;
    const auto levels =
        detail::hash_levels(o.levels, o.base_resolution, o.finest_resolution, o.log2_hashmap_size);
    return double(levels.back().start + levels.back().entries) * double(o.features_per_level);
}

/// Nothing that the options make is larger than what the file holds.
void check_options(const AvatarOptions& o, const TensorDict& avatar) {
    const auto& faces = avatar.at("body.faces");
    const auto& centers = avatar.at("surfels.center");
    if (o.subdivisions < 0 || o.subdivisions > 10 || faces.dim() < 1 || centers.dim() < 1 ||
        faces.size(0) << (2 * o.subdivisions) != centers.size(0)) {
        throw Error(fmt::format(
            "options: {} subdivisions do not make the surfels of the file, {}, from its faces, {}",
            o.subdivisions, shape_text(centers.sizes()), shape_text(faces.sizes())));
    }
    if (const auto* light = avatar.find("appearance.light.log_radiance")) {
        const int64_t rows = o.appearance.material.light_rows;
        if (light->sizes() != torch::IntArrayRef{rows, 2 * rows, 3})
            throw Error(fmt::format("options: a light of {} rows is not that of the file, {}", rows,
                                    shape_text(light->sizes())));
    }
    double wanted = network_size(o.encoder.width, 1, 1);
    if (avatar.contains("geometry.volume.table"))
        wanted += table_size(o.geometry.volume) +
                  network_size(o.geometry.hidden, o.geometry.layers, o.geometry.code);
    if (o.skinning.type != "table")
        wanted +=
            table_size(o.skinning.volume) + network_size(o.skinning.hidden, o.skinning.layers, 1);
    wanted += table_size(o.appearance.volume) + network_size(o.appearance.hidden, 1, 1) +
              double(o.pose_projection.components);
    const auto& weights = avatar.at("body.weights");
    if (o.blendshapes.pose && weights.dim() == 2)
        wanted += 2 * 27.0 * double(weights.size(0)) * double(weights.size(1) - 1);
    for (const auto& [name, modality] : o.modalities)
        wanted += table_size(modality.volume) + network_size(modality.hidden, 1, modality.channels);
    double held = 0;
    for (const auto& [name, tensor] : avatar) held += double(tensor.numel());
    if (!(wanted <= held)) {
        throw Error(fmt::format(
            "options: they make at least {} numbers, but the file holds {}; one of both is damaged",
            wanted, held));
    }
}

SavedAvatar make_avatar(const TensorDict& tensors, const Metadata& metadata, torch::Device device) {
    const auto avatar = below_prefix(tensors, "avatar.");
    Config config;
    config.add_text(detail::text_of(metadata, "options"), "options");
    OptionsText options{AvatarOptions::before_all_keys()};
    config.read(options);
    check_options(options.avatar, avatar);
    const BodyModel body(below_prefix(avatar, "body."));
    auto scene = detail::get_scene(tensors, metadata, body->joint_count(), device);
    SavedAvatar out{Avatar(paper_parts(body, options.avatar)), options.avatar, std::move(scene)};
    out.avatar->to(device);
    out.avatar->eval();  // it is drawn
    copy_tensors(avatar, named_tensors(*out.avatar), "tensors");
    return out;
}

}  // namespace

std::string part_of_ones_own(const AvatarParts& parts) {
    if (!is<BodyModelImpl>(*parts.body)) return "body";
    if (!is<SurfelSetImpl>(*parts.surfels)) return "surfels";
    if (parts.blendshapes && !is<TemplateBlendshapesImpl>(*parts.blendshapes)) return "blendshapes";
    if (parts.projection && !is<PoseProjectionImpl>(*parts.projection)) return "projection";
    if (!is<PoseEncoderImpl>(*parts.encoder)) return "encoder";
    if (parts.geometry && !is<GeometryFieldImpl>(*parts.geometry)) return "geometry";
    if (!is<SkinningFieldImpl>(*parts.skinning) && !is<SkinningTableImpl>(*parts.skinning))
        return "skinning";
    if (!is<AppearanceFieldImpl>(*parts.appearance) &&
        !is<MaterialAppearanceImpl>(*parts.appearance))
        return "appearance";
    for (const auto& [name, field] : parts.features) {
        if (!is<FeatureFieldImpl>(*field)) return name;
    }
    return "";
}

void save_avatar(const fs::path& file, const Avatar& avatar, const AvatarOptions& options,
                 const AvatarScene& scene) {
    auto tensors = named_tensors(*avatar, "avatar.");
    try {
        if (const auto part = part_of_ones_own(avatar->parts()); !part.empty())
            throw Error(fmt::format(
                "the part '{}' is not the paper's: an avatar file cannot hold it; save its tensors "
                "with write_safetensors and make the avatar in your own program",
                part));
        check_options(options, below_prefix(tensors, "avatar."));
        detail::check_scene(scene, avatar->parts().body->joint_count());
    } catch (const Error& error) {
        throw Error(fmt::format("{}: is not written: {}", file.string(), error.what()));
    }
    Metadata metadata{{"format", fmt::format("{} {}", kKind, kFormat)},
                      {"options", dump_yaml(OptionsText{options})}};
    detail::put_scene(scene, tensors, metadata);
    write_safetensors(file, tensors, metadata);
}

SavedAvatar load_avatar(const fs::path& file, torch::Device device) {
    Metadata metadata;
    const auto tensors = read_safetensors(file, &metadata);
    check_kind(metadata, kKind, kFormat, file.string());
    try {
        return make_avatar(tensors, metadata, device);
    } catch (const Error& error) {
        throw Error(fmt::format("{}: {}", file.string(), error.what()));
    }
}

}  // namespace fmgs
