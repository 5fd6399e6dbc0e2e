#include <fmgs/avatar_scene.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/rotation.h>
#include <fmt/format.h>

namespace fmgs {

namespace {

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

AvatarScene read_scene(const TensorDict& tensors, const std::string& text) {
    Config config;
    config.add_text(text, "scene");
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

}  // namespace

namespace detail {

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

void put_scene(const AvatarScene& scene, TensorDict& tensors, Metadata& metadata) {
    for (const auto& [name, tensor] : scene_tensors(scene)) tensors.set(name, tensor);
    SceneText rest{.width = scene.camera.width,
                   .height = scene.camera.height,
                   .near = scene.camera.near,
                   .low_pass = scene.camera.low_pass,
                   .frames = scene.frames,
                   .labels = {}};
    for (const auto& [modality, names] : scene.labels) rest.labels[modality] = {names};
    metadata["scene"] = dump_yaml(rest);
}

AvatarScene get_scene(const TensorDict& tensors, const Metadata& metadata, int64_t joints,
                      torch::Device device) {
    auto scene = read_scene(tensors, text_of(metadata, "scene"));
    const auto known = scene_tensors(scene);
    for (const auto& [name, tensor] : tensors) {
        if (!name.starts_with("avatar.") && !known.contains(name))
            throw Error(fmt::format("the tensor '{}' is no part of an avatar", name));
    }
    check_scene(scene, joints);
    return moved(std::move(scene), device);
}

const std::string& text_of(const Metadata& metadata, const std::string& key) {
    const auto found = metadata.find(key);
    if (found == metadata.end()) throw Error(fmt::format("its metadata lack '{}'", key));
    return found->second;
}

}  // namespace detail

BodyPose AvatarScene::pose(int64_t k) const {
    if (k < 0 || k >= axis_angle.size(0))
        throw Error(fmt::format("pose: expected a training frame in [0,{}), got {}",
                                axis_angle.size(0), k));
    return {exp_map(axis_angle[k]), translation[k]};
}

}  // namespace fmgs
