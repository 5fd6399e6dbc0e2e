#include <fmgs/avatar_file.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/io/safetensors.h>
#include <fmgs/core/named_tensors.h>
#include <fmgs/core/rotation.h>
#include <fmgs/fields/hash/hash_levels.h>
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

struct LabelNames {
    std::vector<std::string> names;

    template <class V>
    void visit(V& v) {
        v("names", names);
    }
};

/// `scene` in the metadata: what is no tensor.
struct SceneText {
    int64_t width = 0, height = 0;
    double near = 0, low_pass = 0;
    std::vector<std::string> frames;
    std::map<std::string, LabelNames> labels;

    template <class V>
    void visit(V& v) {
        v("width", width, Range::at_least(1));
        v("height", height, Range::at_least(1));
        v("near", near, Range::more_than(0));
        v("low_pass", low_pass, Range::more_than(0));
        v("frames", frames);
        v.groups("labels", labels);
    }
};

/// The scene's tensors by their names in the file.
TensorDict scene_tensors(const AvatarScene& scene) {
    return {{"camera.rotation", scene.camera.rotation},
            {"camera.translation", scene.camera.translation},
            {"camera.intrinsics", scene.camera.intrinsics},
            {"scene.root", scene.root},
            {"scene.up", scene.up},
            {"poses.axis_angle", scene.axis_angle},
            {"poses.translation", scene.translation}};
}

void check_scene(const AvatarScene& scene, int64_t joints) {
    const auto frames = static_cast<int64_t>(scene.frames.size());
    check_shape(scene.camera.rotation, {3, 3}, "camera.rotation");
    check_shape(scene.camera.translation, {3}, "camera.translation");
    check_shape(scene.camera.intrinsics, {4}, "camera.intrinsics");
    check_shape(scene.root, {3}, "scene.root");
    check_shape(scene.up, {3}, "scene.up");
    check_shape(scene.axis_angle, {frames, joints, 3}, "poses.axis_angle");
    check_shape(scene.translation, {frames, 3}, "poses.translation");
    if (frames == 0) throw Error("frames: expected at least one, got none");
    for (const auto& [name, tensor] : scene_tensors(scene)) {
        if (tensor.scalar_type() != torch::kFloat || !tensor.isfinite().all().item<bool>())
            throw Error(fmt::format("{}: expected finite float32 values", name));
    }
    const auto& c = scene.camera;
    constexpr int64_t kLargest = 1 << 16;
    if (c.width < 1 || c.height < 1 || c.width > kLargest || c.height > kLargest || !(c.near > 0) ||
        !(c.low_pass > 0)) {
        throw Error(
            fmt::format("camera: expected a size from 1x1 to {0}x{0}, near and low-pass above 0, "
                        "got {1}x{2}, {3} "
                        "and {4}",
                        kLargest, c.width, c.height, c.near, c.low_pass));
    }
}

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
    double wanted = network_size(o.encoder.width, 1, 1);
    if (avatar.contains("geometry.volume.table"))
        wanted += table_size(o.geometry.volume) +
                  network_size(o.geometry.hidden, o.geometry.layers, o.geometry.code);
    wanted += table_size(o.skinning.volume) + table_size(o.appearance.volume) +
              network_size(o.skinning.hidden, o.skinning.layers, 1) +
              network_size(o.appearance.hidden, 1, 1);
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

AvatarScene read_scene(const TensorDict& tensors, const std::string& text,
                       const std::string& name) {
    Config config;
    config.add_text(text, name);
    SceneText rest;
    config.read(rest);
    AvatarScene scene;
    scene.camera.rotation = tensors.at("camera.rotation");
    scene.camera.translation = tensors.at("camera.translation");
    scene.camera.intrinsics = tensors.at("camera.intrinsics");
    scene.camera.width = rest.width;
    scene.camera.height = rest.height;
    scene.camera.near = rest.near;
    scene.camera.low_pass = rest.low_pass;
    scene.root = tensors.at("scene.root");
    scene.up = tensors.at("scene.up");
    scene.frames = rest.frames;
    scene.axis_angle = tensors.at("poses.axis_angle");
    scene.translation = tensors.at("poses.translation");
    for (const auto& [modality, labels] : rest.labels) scene.labels[modality] = labels.names;
    return scene;
}

AvatarScene moved(AvatarScene scene, torch::Device device) {
    scene.camera = scene.camera.to(device);
    for (auto* tensor : {&scene.root, &scene.up, &scene.axis_angle, &scene.translation})
        *tensor = tensor->to(device);
    return scene;
}

const std::string& text_of(const Metadata& metadata, const std::string& key) {
    const auto found = metadata.find(key);
    if (found == metadata.end()) throw Error(fmt::format("its metadata lack '{}'", key));
    return found->second;
}

SavedAvatar make_avatar(const TensorDict& tensors, const Metadata& metadata, torch::Device device) {
    const auto avatar = below_prefix(tensors, "avatar.");
    Config config;
    config.add_text(text_of(metadata, "options"), "options");
    OptionsText options{AvatarOptions::before_all_keys()};
    config.read(options);
    check_options(options.avatar, avatar);
    auto scene = read_scene(tensors, text_of(metadata, "scene"), "scene");
    const auto known = scene_tensors(scene);
    for (const auto& [name, tensor] : tensors) {
        if (!name.starts_with("avatar.") && !known.contains(name))
            throw Error(fmt::format("the tensor '{}' is no part of an avatar", name));
    }
    const BodyModel body(below_prefix(avatar, "body."));
    check_scene(scene, body->joint_count());
    SavedAvatar out{Avatar(paper_parts(body, options.avatar)), options.avatar,
                    moved(std::move(scene), device)};
    out.avatar->to(device);
    copy_tensors(avatar, named_tensors(*out.avatar), "tensors");
    return out;
}

}  // namespace

BodyPose AvatarScene::pose(int64_t k) const {
    if (k < 0 || k >= axis_angle.size(0))
        throw Error(fmt::format("pose: expected a training frame in [0,{}), got {}",
                                axis_angle.size(0), k));
    return {exp_map(axis_angle[k]), translation[k]};
}

std::string part_of_ones_own(const AvatarParts& parts) {
    if (!is<BodyModelImpl>(*parts.body)) return "body";
    if (!is<SurfelSetImpl>(*parts.surfels)) return "surfels";
    if (!is<PoseEncoderImpl>(*parts.encoder)) return "encoder";
    if (parts.geometry && !is<GeometryFieldImpl>(*parts.geometry)) return "geometry";
    if (!is<SkinningFieldImpl>(*parts.skinning)) return "skinning";
    if (!is<AppearanceFieldImpl>(*parts.appearance)) return "appearance";
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
        check_scene(scene, avatar->parts().body->joint_count());
    } catch (const Error& error) {
        throw Error(fmt::format("{}: is not written: {}", file.string(), error.what()));
    }
    for (const auto& [name, tensor] : scene_tensors(scene)) tensors.set(name, tensor);
    SceneText rest{.width = scene.camera.width,
                   .height = scene.camera.height,
                   .near = scene.camera.near,
                   .low_pass = scene.camera.low_pass,
                   .frames = scene.frames,
                   .labels = {}};
    for (const auto& [modality, names] : scene.labels) rest.labels[modality] = {names};
    write_safetensors(file, tensors,
                      {{"format", fmt::format("{} {}", kKind, kFormat)},
                       {"options", dump_yaml(OptionsText{options})},
                       {"scene", dump_yaml(rest)}});
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
