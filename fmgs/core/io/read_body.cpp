/// Bodies in every form: SMPL's keys in any container, 3DGS-Avatar's folder, and any rig.
#include <fmgs/core/check.h>
#include <fmgs/core/io/body_file.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmgs/core/io/value.h>
#include <fmgs/core/memory.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

/// f(); its Error gets the file in front, unless it has that already.
template <class F>
auto of_file(const fs::path& file, F&& f) {
    try {
        return f();
    } catch (const Error& error) {
        const std::string_view words = error.what();
        if (words.starts_with(file.string())) throw;
        throw Error(fmt::format("{}: {}", file.string(), words));
    }
}

/// SMPL's name of an array, and what rigs call it.
struct Key {
    const char *smpl, *rig;
};
constexpr Key kVertices{"v_template", "vertices"}, kFaces{"f", "faces"},
    kWeights{"weights", "skinning_weights"}, kTree{"kintree_table", "parents"},
    kRegressor{"J_regressor", "joint_regressor"}, kJoints{"J", "joints"},
    kShapes{"shapedirs", "shape_directions"}, kPoses{"posedirs", "pose_directions"};

const Value* find(const Value& file, const Key& key) {
    const auto* found = file.find(key.smpl);
    return found ? found : file.find(key.rig);
}

const Value& need(const Value& file, const Key& key) {
    if (const auto* found = find(file, key)) return *found;
    throw Error(
        fmt::format("there is no '{}' (or '{}'); there are: {}", key.smpl, key.rig, file.keys()));
}

torch::Tensor tensor_of(const Value& value, const char* name) {
    try {
        return value.tensor();
    } catch (const Error& error) {
        throw Error(fmt::format("'{}': {}", name, error.what()));
    }
}

torch::Tensor real(const Value& value, const char* name) {
    return tensor_of(value, name).to(torch::kFloat);
}

torch::Tensor index(const Value& value, const char* name) {
    const auto values = tensor_of(value, name);
    auto whole = values.to(torch::kLong);
    if (!torch::equal(whole.to(values.scalar_type()), values))
        throw Error(fmt::format("'{}': expected whole numbers", name));
    return whole;
}

bool is_misc_folder(const fs::path& folder) {
    return fs::is_directory(folder) && is_there(folder / "v_templates.npz");
}

/// 3DGS-Avatar's body_models/misc: an .npz per array, an entry per gender.
Value misc_body(const fs::path& folder, const std::string& gender) {
    constexpr std::array<std::pair<const char*, const char*>, 5> kFiles{
        {{"v_template", "v_templates.npz"},
         {"weights", "skinning_weights_all.npz"},
         {"J_regressor", "J_regressors.npz"},
         {"shapedirs", "shapedirs_all.npz"},
         {"posedirs", "posedirs_all.npz"}}};
    Value::Dict entries;
    for (const auto& [key, name] : kFiles) {
        const auto arrays = read_value(folder / name);
        const auto* array = arrays.find(gender);
        if (!array)
            throw Error(fmt::format("{}: there is no body '{}'; there are: {}",
                                    (folder / name).string(), gender, arrays.keys()));
        entries.emplace_back(Value(std::string(key)), *array);
    }
    entries.emplace_back(Value(std::string("f")), read_value(folder / "faces.npz")["faces"]);
    entries.emplace_back(Value(std::string("kintree_table")),
                         read_value(folder / "kintree_table.npy"));
    return Value(std::move(entries));
}

/// A mesh, and its rig beside it in an .npz of the same name.
Value mesh_body(const fs::path& file) {
    const auto mesh = read_mesh(file);
    const auto rig = fs::path(file).replace_extension(".npz");
    if (!is_there(rig))
        throw Error(
            fmt::format("{}: a mesh alone is no body; put its rig beside it, {} with weights "
                        "[V,J], parents [J] "
                        "and joints [J,3]",
                        file.string(), rig.string()));
    auto entries = read_value(rig).dict();
    entries.emplace_back(Value(std::string("v_template")), Value(npy_array(mesh.vertices)));
    entries.emplace_back(Value(std::string("f")), Value(npy_array(mesh.faces)));
    return Value(std::move(entries));
}

/// The arrays of a body by SMPL's names, or a rig's.
Value body_arrays(const fs::path& file) {
    if (is_misc_folder(file))
        throw Error(
            fmt::format("{}: holds several bodies; name one: {}/female, {}/male or {}/neutral",
                        file.string(), file.string(), file.string(), file.string()));
    if (!is_there(file) && is_misc_folder(file.parent_path()))
        return misc_body(file.parent_path(), file.filename().string());
    if (file.extension() == ".obj" || file.extension() == ".ply") return mesh_body(file);
    auto value = read_value(file);
    if (!value.is_dict())
        throw Error(fmt::format("expected a body (v_template, f, weights, …), got {}",
                                value.description()));
    return value;
}

/// Only linear blend skinning over rotation matrices is known.
void check_style(const Value& file) {
    for (const auto& [key, known] :
         {std::pair{"bs_style", "lbs"}, std::pair{"bs_type", "lrotmin"}}) {
        const auto* style = file.find(key);
        if (style && style->is_text() && style->text() != known)
            throw Error(fmt::format("{}: expected '{}', got '{}'", key, known, style->text()));
    }
}

torch::Tensor parents_of(const Value& file) {
    auto tree = index(need(file, kTree), kTree.smpl);
    if (file.contains(kTree.smpl)) {
        check_shape(tree, {2, -1}, kTree.smpl);
        tree = tree[0];
    }
    check_shape(tree, {-1}, kTree.rig);
    auto parents = tree.clone();
    // -1 as an unsigned number.
    if (parents.numel() > 0 && parents[0].item<int64_t>() == 0xFFFFFFFF) parents[0] = -1;
    return parents;
}

/// A rig's bones at rest, [J,4,4]; undefined: it has joints only.
torch::Tensor rest_bones(const Value& file) {
    const auto* bones = file.find("rest_bones");
    if (!bones) return {};
    const auto matrices = real(*bones, "rest_bones");
    check_shape(matrices, {-1, 4, 4}, "rest_bones");
    return matrices;
}

/// Where a rig's joints rest, [J,3]; the heads of its bones where it has those.
torch::Tensor rest_joints(const Value& file, const torch::Tensor& bones) {
    if (bones.defined()) return bones.slice(1, 0, 3).select(2, 3);
    if (const auto* joints = find(file, kJoints)) return real(*joints, kJoints.rig);
    throw Error(fmt::format(
        "there is no 'J_regressor', 'joints' or 'rest_bones', which say where the joints are; "
        "there are: {}",
        file.keys()));
}

/// Combinations of the vertices, of least squares, that give fixed joints: r·V = J, Σr = 1. With
/// them a rig is a body whose joints do not follow a shape that it has not.
torch::Tensor regressor_of(const torch::Tensor& joints, const torch::Tensor& vertices) {
    check_shape(joints, {-1, 3}, kJoints.rig);
    const auto v = vertices.to(torch::kDouble), middle = v.mean(0);
    const auto a = torch::cat({v - middle, torch::ones({v.size(0), 1}, v.options())}, 1);
    const auto goal = torch::cat(
        {joints.to(torch::kDouble) - middle, torch::ones({joints.size(0), 1}, v.options())}, 1);
    const auto weights =
        torch::matmul(torch::matmul(goal, torch::linalg_pinv(torch::matmul(a.t(), a))), a.t());
    const auto worst = (torch::matmul(weights, a) - goal).abs().max().item<double>();
    if (!(worst < 1e-4))
        throw Error(
            "joints: expected joints that a mesh in three dimensions can carry; the mesh is "
            "flat");
    return weights.to(torch::kFloat);
}

void read_shapes(const Value& file, BodyData& body) {
    const int64_t vertices = body.vertices.size(0);
    body.shape_directions = torch::zeros({vertices, 3, 0});
    const auto* found = find(file, kShapes);
    if (!found) return;
    const auto directions = real(*found, kShapes.smpl);
    check_shape(directions, {vertices, 3, -1}, kShapes.smpl);
    const auto count = shape_count(body.weights.size(1), directions.size(2));
    body.shape_directions = directions.slice(2, 0, count).clone();
    if (count < directions.size(2)) body.expression_directions = directions.slice(2, count).clone();
}

BodyData body_of(const Value& file) {
    check_style(file);
    BodyData body;
    body.vertices = real(need(file, kVertices), kVertices.smpl);
    check_shape(body.vertices, {-1, 3}, kVertices.smpl);
    body.faces = index(need(file, kFaces), kFaces.smpl);
    body.weights = real(need(file, kWeights), kWeights.smpl);
    check_shape(body.weights, {body.vertices.size(0), -1}, kWeights.smpl);
    body.parents = parents_of(file);
    read_shapes(file, body);
    const auto bones = rest_bones(file);
    if (bones.defined()) {
        const auto turns = bones.slice(1, 0, 3).slice(2, 0, 3).contiguous();
        const auto still = torch::eye(3).expand_as(turns);
        if (!torch::equal(turns, still)) body.rest_rotations = turns;
    }
    if (const auto* regressor = find(file, kRegressor)) {
        body.joint_regressor = real(*regressor, kRegressor.smpl);
    } else {
        const auto joints = rest_joints(file, bones);
        if (body.shape_directions.size(2) > 0)
            throw Error(
                "shapedirs: a body with shape directions needs 'J_regressor', too: its "
                "joints follow its shape");
        body.joint_regressor = regressor_of(joints, body.vertices);
    }
    if (const auto* poses = find(file, kPoses)) {
        const auto directions = real(*poses, kPoses.smpl);
        // Bodies without pose blend shapes come with zeros, which would cost memory and time for
        // nothing.
        if ((directions != 0).any().item<bool>()) body.pose_directions = directions;
    }
    check_body(body);
    return body;
}

/// "female" where a file's name, or its folder's, says so; empty where it does not.
std::string gender_of(const fs::path& file) {
    for (auto name : {file.filename().string(), file.parent_path().filename().string()}) {
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        const auto has = [&](const char* word) { return name.find(word) != name.npos; };
        if (has("female") || has("_f_")) return "female";
        if (has("male") || has("_m_")) return "male";
        if (has("neutral")) return "neutral";
    }
    return {};
}

}  // namespace

int64_t shape_count(int64_t joints, int64_t count) {
    constexpr int64_t kSmplx = 55, kFlame = 5;
    if ((joints == kSmplx || joints == kFlame) && count == 400) return 300;
    return joints == kSmplx && count == 20 ? 10 : count;
}

BodyData read_body(const fs::path& file) {
    return of_file(file, [&] { return body_of(body_arrays(file)); });
}

std::string describe_body(const fs::path& file, const BodyData& body) {
    std::error_code none;
    const auto bytes = fs::file_size(file, none);
    const auto gender = gender_of(file);
    return fmt::format(
        "body {}{}: {} vertices, {} faces, {} joints, {} betas{}{}", file.filename().string(),
        none ? "" : " (" + memory_text(static_cast<double>(bytes)) + ")", body.vertices.size(0),
        body.faces.size(0), body.weights.size(1), body.shape_directions.size(2),
        body.expression_directions.defined()
            ? fmt::format(", {} expressions that nothing uses", body.expression_directions.size(2))
            : "",
        gender.empty() ? "" : ", " + gender + " by its name");
}

}  // namespace fmgs
