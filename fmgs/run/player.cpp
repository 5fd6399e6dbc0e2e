#include <fmgs/run/player.h>

#include <fmgs/core/check.h>
#include <fmgs/core/joint_names.h>
#include <fmgs/core/quaternion.h>
#include <fmgs/eval/colors.h>
#include <fmgs/run/html.h>
#include <fmgs/run/page.h>
#include <fmgs/run/page_frames.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <zlib.h>

#include <nlohmann/json.hpp>

namespace fmgs {

namespace {

using Json = nlohmann::ordered_json;

/// A number as its shortest decimal that reads back as the same float.
Json numbers(const torch::Tensor& x) {
    Json out = Json::array();
    const auto flat = x.to(torch::kCPU, torch::kFloat).contiguous().flatten();
    for (int64_t i = 0; i < flat.numel(); ++i)
        out.push_back(std::stod(fmt::format("{}", flat[i].item<float>())));
    return out;
}

/// Arrays one behind the other, each at a multiple of four bytes, and what the page has to know of
/// them.
struct Arrays {
    Json index = Json::object();
    std::string bytes;

    /// [R,C] of float, int16 (of whose bits the page makes uint16) or uint8, as it is; `more`
    /// stands beside its place.
    void put(const std::string& name, const torch::Tensor& rows, const char* type, Json more = {}) {
        const auto stored = rows.contiguous();
        bytes.resize((bytes.size() + 3) / 4 * 4);
        more.update({{"type", type},
                     {"offset", bytes.size()},
                     {"rows", stored.size(0)},
                     {"columns", stored.size(1)}});
        index[name] = std::move(more);
        bytes.append(static_cast<const char*>(stored.data_ptr()), stored.nbytes());
    }
    void add_floats(const std::string& name, const torch::Tensor& x) {
        put(name, x.reshape({x.size(0), -1}).to(torch::kCPU, torch::kFloat), "f4");
    }
    void add_bytes(const std::string& name, const torch::Tensor& x) {
        put(name, x.reshape({x.size(0), -1}).to(torch::kCPU, torch::kByte), "u1");
    }
    /// [R,…] in 2^bits - 1 steps between the least and the largest of each column; 8 or 16 bits.
    void add_steps(const std::string& name, const torch::Tensor& x, int bits) {
        if (x.numel() == 0) return put(name, torch::zeros({x.size(0), 0}), "f4");
        const auto rows = x.reshape({x.size(0), -1}).to(torch::kCPU, torch::kDouble);
        const auto low = std::get<0>(rows.min(0)), high = std::get<0>(rows.max(0));
        const double most = (1 << bits) - 1;
        const auto step = (high - low) / most;
        const auto level = ((rows - low) / step.clamp_min(1e-30)).round().clamp(0, most);
        const auto whole = level.to(torch::kInt);  // cut to 16 bits, the upper half is negative
        put(name, whole.to(bits == 16 ? torch::kShort : torch::kByte), bits == 16 ? "u2" : "u1",
            {{"low", numbers(low)}, {"step", numbers(step)}});
    }
};

/// As zlib deflates it.
std::string deflated(const std::string& bytes) {
    uLongf size = compressBound(bytes.size());
    std::string out(size, '\0');
    if (compress2(reinterpret_cast<Bytef*>(out.data()), &size,
                  reinterpret_cast<const Bytef*>(bytes.data()), bytes.size(), 9) != Z_OK)
        throw Error("player_page: the avatar could not be compressed");
    out.resize(size);
    return out;
}

/// [J,3,4]: canonical → the joint's own axes, so that bones are forward kinematics times these.
torch::Tensor to_joints(const BodyModel& body) {
    const int64_t J = body->joint_count();
    const auto options = body->joints().options();
    const BodyPose straight{torch::eye(3, options).repeat({J, 1, 1}), torch::zeros({3}, options)};
    auto out = body->bones(straight).slice(1, 0, 3).clone();
    out.select(2, 3) -= body->joints();  // an unturned joint is at its place at rest
    return out;
}

void add_avatar(Arrays& arrays, const BakedAvatar& avatar) {
    const auto& parts = avatar->parts();
    arrays.add_steps("center", parts.center, 16);
    arrays.add_steps("frame", quaternion_of(parts.frame), 16);
    arrays.add_steps("opacity", parts.opacity, 8);
    arrays.add_bytes("boneIndex", parts.bone_index);
    arrays.add_steps("boneWeight", parts.bone_weight, 8);
    if (parts.labels.defined()) arrays.add_bytes("labels", parts.labels);
    arrays.add_steps("mean", parts.mean, 16);
    arrays.add_floats("bias", parts.bias);
    arrays.add_floats("projection", parts.projection);
    // A component's range is its own: it is a column of a table of all.
    arrays.add_steps("components", parts.components.permute({1, 0, 2}), 8);
    arrays.add_floats("rest", avatar->body()->joints());
    arrays.add_floats("canonical", to_joints(avatar->body()));
}

void add_poses(Arrays& arrays, const std::vector<BodyPose>& poses, int64_t joints) {
    std::vector<torch::Tensor> rotations, translations;
    for (const auto& pose : poses) {
        if (!pose.rotations.defined() || pose.bones.defined())
            throw Error("player_page: expected poses as rotations of joints, got bones");
        check_shape(pose.rotations, {joints, 3, 3}, "player_page: rotations");
        rotations.push_back(pose.rotations.cpu());
        translations.push_back(pose.translation.cpu());
    }
    arrays.add_floats("rotations", torch::stack(rotations));
    arrays.add_floats("translation", torch::stack(translations));
}

/// Every class by number, name and colour, and whether a surfel has it; those of a name alone.
Json classes_of(const BakedAvatar& avatar, const AvatarScene& scene) {
    Json out = Json::array();
    const auto& labels = avatar->parts().labels;
    if (!labels.defined()) return out;
    const auto names = scene.labels.find("semantic");
    const int64_t count = labels.max().item<int64_t>() + 1;
    const auto colors = colorize_labels(torch::arange(count).unsqueeze(0));
    for (int64_t k = 0; k < count; ++k) {
        const bool named =
            names != scene.labels.end() && k < static_cast<int64_t>(names->second.size());
        out.push_back(
            {{"id", k},
             {"name", named ? names->second[static_cast<size_t>(k)] : fmt::format("class {}", k)},
             {"color", numbers(colors.select(1, 0).select(1, k))},
             {"there", (labels == k).any().item<bool>()}});
    }
    return out;
}

Json camera_of(const Camera& camera) {
    return {{"rotation", numbers(camera.rotation)},
            {"translation", numbers(camera.translation)},
            {"intrinsics", numbers(camera.intrinsics)},
            {"width", camera.width},
            {"height", camera.height},
            {"near", camera.near},
            {"lowPass", camera.low_pass}};
}

}  // namespace

std::string player_page(const BakedAvatar& avatar, const AvatarScene& scene,
                        const Performance& performance, const std::string& title) {
    const torch::NoGradGuard guard;
    const auto& parts = avatar->parts();
    const int64_t joints = avatar->body()->joint_count();
    if (performance.poses.empty()) throw Error("player_page: expected at least one pose, got none");
    if (joints > 255)
        throw Error(fmt::format("player_page: expected at most 255 joints, got {}", joints));
    Arrays arrays;
    add_avatar(arrays, avatar);
    add_poses(arrays, performance.poses, joints);
    const auto parents = avatar->body()->parents().cpu();
    const Json meta = {{"surfels", avatar->size()},
                       {"components", avatar->component_count()},
                       {"along", parts.mean.size(1) == 9},
                       {"farSide", parts.far_side},
                       {"mip", parts.mip},
                       {"joints", joint_names(joints)},
                       {"parents", std::vector<int64_t>(parents.data_ptr<int64_t>(),
                                                        parents.data_ptr<int64_t>() + joints)},
                       {"frames", performance.poses.size()},
                       {"fps", performance.fps},
                       {"camera", camera_of(scene.camera)},
                       {"root", numbers(scene.root)},
                       {"up", numbers(scene.up)},
                       {"classes", classes_of(avatar, scene)},
                       {"arrays", arrays.index}};
    return detail::filled(kPlayerHtml,
                          {{"title", escaped(title)},
                           {"meta", detail::script_text(meta.dump(-1, ' ', /*ensure_ascii=*/true,
                                                                  Json::error_handler_t::replace))},
                           {"data", detail::base64(deflated(arrays.bytes))}});
}

}  // namespace fmgs
