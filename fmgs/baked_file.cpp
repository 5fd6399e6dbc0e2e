#include <fmgs/baked_file.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/named_tensors.h>
#include <fmt/format.h>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

constexpr const char* kKind = "fmgs-baked";
constexpr int64_t kFormat = 1;  // read for ever, as in avatar_file.cpp

/// `options` in the metadata: what is no tensor of the avatar.
struct OptionsText {
    int64_t subdivisions = 0;
    double far_side = 1;
    bool mip = false;

    template <class V>
    void visit(V& v) {
        v("subdivisions", subdivisions);
        v("far_side", far_side);
        v("mip", mip);
    }
};

SavedBaked make_baked(const TensorDict& tensors, const Metadata& metadata, torch::Device device) {
    Config config;
    config.add_text(detail::text_of(metadata, "options"), "options");
    OptionsText options;
    config.read(options);
    const auto avatar = below_prefix(tensors, "avatar.");
    const auto* labels = avatar.find("labels");
    const BakedParts parts{.body = BodyModel(below_prefix(avatar, "body.")),
                           .subdivisions = options.subdivisions,
                           .far_side = options.far_side,
                           .mip = options.mip,
                           .center = avatar.at("center"),
                           .frame = avatar.at("frame"),
                           .opacity = avatar.at("opacity"),
                           .bone_index = avatar.at("bone_index"),
                           .bone_weight = avatar.at("bone_weight"),
                           .labels = labels ? *labels : torch::Tensor(),
                           .mean = avatar.at("mean"),
                           .components = avatar.at("components"),
                           .projection = avatar.at("projection"),
                           .bias = avatar.at("bias")};
    auto known = named_tensors(*parts.body, "body.");
    for (const auto& [name, tensor] : parts.tensors()) known.set(name, tensor);
    if (const auto wrong = mismatches(avatar, known); !wrong.empty()) throw Error(wrong);
    for (const auto& [name, tensor] : parts.tensors()) {
        if (tensor.is_floating_point() && tensor.scalar_type() != torch::kFloat)
            throw Error(fmt::format("{}: expected float32 numbers", name));
    }
    auto scene = detail::get_scene(tensors, metadata, parts.body->joint_count(), device);
    SavedBaked out{BakedAvatar(parts), std::move(scene)};
    out.avatar->to(device);
    return out;
}

}  // namespace

bool is_baked_file(const fs::path& file) {
    const auto metadata = read_metadata(file);
    const auto format = metadata.find("format");
    return format != metadata.end() && format->second.starts_with(std::string(kKind) + " ");
}

void check_baked_place(const fs::path& file) {
    if (!is_there(file) || is_baked_file(file)) return;
    throw Error(fmt::format(
        "{}: is there and no baked avatar; only one of those is replaced: give another --out",
        file.string()));
}

void save_baked(const fs::path& file, const BakedAvatar& avatar, const AvatarScene& scene) {
    const auto& parts = avatar->parts();
    try {
        detail::check_scene(scene, parts.body->joint_count());
    } catch (const Error& error) {
        throw Error(fmt::format("{}: is not written: {}", file.string(), error.what()));
    }
    auto tensors = named_tensors(*parts.body, "avatar.body.");
    for (const auto& [name, tensor] : parts.tensors()) tensors.set("avatar." + name, tensor);
    Metadata metadata{
        {"format", fmt::format("{} {}", kKind, kFormat)},
        {"options", dump_yaml(OptionsText{parts.subdivisions, parts.far_side, parts.mip})}};
    detail::put_scene(scene, tensors, metadata);
    write_safetensors(file, tensors, metadata);
}

SavedBaked load_baked(const fs::path& file, torch::Device device) {
    Metadata metadata;
    const auto tensors = read_safetensors(file, &metadata);
    check_kind(metadata, kKind, kFormat, file.string());
    try {
        return make_baked(tensors, metadata, device);
    } catch (const Error& error) {
        throw Error(fmt::format("{}: {}", file.string(), error.what()));
    }
}

}  // namespace fmgs
