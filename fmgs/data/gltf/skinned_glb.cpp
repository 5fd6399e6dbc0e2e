#include <fmgs/data/gltf/skinned_glb.h>

#include <fmgs/core/check.h>
#include <fmgs/core/quaternion.h>
#include <fmgs/data/gltf/glb.h>
#include <fmgs/data/picture_bytes.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fmgs {

namespace {

using Json = nlohmann::json;
using torch::Tensor;

void check(const SkinnedMesh& m) {
    const int64_t J = m.parents.size(0), V = m.mesh.vertices.size(0), F = m.mesh.faces.size(0);
    check_shape(m.mesh.vertices, {V, 3}, "vertices");
    check_shape(m.mesh.faces, {F, 3}, "faces");
    check_shape(m.face_color, {F, 3}, "colours of faces");
    check_shape(m.weights, {V, J}, "weights");
    check_shape(m.bind, {J, 4, 4}, "bind");
    if (m.frames.defined()) check_shape(m.frames, {-1, J, 4, 4}, "frames");
    if (std::ssize(m.names) != J)
        throw Error(fmt::format("names of joints: expected {}, got {}", J, m.names.size()));
    for (const auto& x : {m.mesh.vertices, m.weights, m.bind, m.frames}) {
        if (x.defined() && !x.isfinite().all().item<bool>())
            throw Error("skinned mesh: vertices, weights or joints are not finite");
    }
}

Tensor for_file(const Tensor& x) { return x.to(torch::kCPU, torch::kFloat); }

/// Joint → parent [T,J,4,4] of joint → world [T,J,4,4], rigid, in double.
Tensor local(const Tensor& world, const Tensor& parents) {
    std::vector<Tensor> out;
    for (int64_t j = 0; j < parents.size(0); ++j) {
        const auto p = parents[j].item<int64_t>();
        const auto to_world = world.select(1, j);
        out.push_back(p < 0 ? to_world : torch::linalg_inv(world.select(1, p)).matmul(to_world));
    }
    return torch::stack(out, 1);
}

/// x, y, z, w [T,4] of rotations [T,3,3], each on the side of the one before it.
Tensor turns(const Tensor& rotation) {
    auto q = quaternion_of(rotation);
    const auto same = (q.slice(0, 1) * q.slice(0, 0, -1)).sum(1) >= 0;
    const auto sign = torch::where(same, 1.0, -1.0).cumprod(0);
    q = torch::cat({q.slice(0, 0, 1), q.slice(0, 1) * sign.unsqueeze(1)});
    return torch::cat({q.slice(1, 1, 4), q.slice(1, 0, 1)}, 1);
}

/// Area-weighted normals of the vertices [V,3], unit.
Tensor vertex_normals(const Mesh& mesh) {
    const auto corner = mesh.vertices.index_select(0, mesh.faces.flatten()).view({-1, 3, 3});
    const auto cross = torch::linalg_cross(corner.select(1, 1) - corner.select(1, 0),
                                           corner.select(1, 2) - corner.select(1, 0));
    auto sum = torch::zeros_like(mesh.vertices);
    for (int64_t k = 0; k < 3; ++k) sum.index_add_(0, mesh.faces.select(1, k), cross);
    const auto length = sum.norm(2, 1, true);
    return torch::where(length > 0, sum / length, torch::tensor({0.0, 0.0, 1.0}, sum.options()));
}

/// The primitive of the mesh: every face with vertices of its own.
Json add_primitive(const SkinnedMesh& m, const Tensor& uv, GlbBuffer& buffer) {
    const auto corners = m.mesh.faces.flatten();
    const auto of_corners = [&](const Tensor& x) { return for_file(x.index_select(0, corners)); };
    const auto [weights, joints] = m.weights.topk(std::min<int64_t>(4, m.weights.size(1)), 1);
    const auto four = [&](const Tensor& x) {
        return torch::constant_pad_nd(x, {0, 4 - x.size(1)});
    };
    const auto type = m.weights.size(1) > 256 ? torch::kInt16 : torch::kUInt8;
    Json attributes;
    attributes["POSITION"] = buffer.add(of_corners(m.mesh.vertices), GlbUse::kPositions);
    attributes["NORMAL"] = buffer.add(of_corners(vertex_normals(m.mesh)), GlbUse::kVertices);
    attributes["TEXCOORD_0"] = buffer.add(for_file(uv.view({-1, 2})), GlbUse::kVertices);
    // An influence of no weight names joint 0, as the format wants it.
    attributes["JOINTS_0"] =
        buffer.add(four(torch::where(weights > 0, joints, 0)).index_select(0, corners).to(type),
                   GlbUse::kVertices);
    attributes["WEIGHTS_0"] =
        buffer.add(of_corners(four(weights / weights.sum(1, true))), GlbUse::kVertices);
    Json primitive{{"mode", 4}, {"attributes", attributes}, {"material", 0}};
    primitive["indices"] =
        buffer.add(torch::arange(corners.size(0), torch::kInt32), GlbUse::kIndices);
    return primitive;
}

/// The material of the texture that lies in this view of the buffer.
void add_material(int64_t view, Json& root) {
    root["images"][0] = {{"bufferView", view}, {"mimeType", "image/png"}, {"name", "faces"}};
    // Linear, and to the edge; no smaller copies, which would mix faces.
    root["samplers"][0] = {
        {"magFilter", 9729}, {"minFilter", 9729}, {"wrapS", 33071}, {"wrapT", 33071}};
    root["textures"][0] = {{"source", 0}, {"sampler", 0}};
    Json material{{"name", "skin and clothes"}};
    material["pbrMetallicRoughness"] = {
        {"baseColorTexture", {{"index", 0}}}, {"metallicFactor", 0}, {"roughnessFactor", 1}};
    material["extensions"]["KHR_materials_unlit"] = Json::object();
    root["materials"][0] = material;
    root["extensionsUsed"] = Json::array({"KHR_materials_unlit"});
}

template <class T>
std::vector<T> list(const Tensor& x) {
    const auto y = x.to(torch::kCPU, c10::CppTypeToScalarType<T>::value).contiguous();
    return {y.template data_ptr<T>(), y.template data_ptr<T>() + y.numel()};
}

/// Nodes 0 … J-1 are the joints, J is the mesh.
void add_skeleton(const SkinnedMesh& m, GlbBuffer& buffer, Json& root) {
    const int64_t J = m.parents.size(0);
    const auto bind = m.bind.to(torch::kCPU, torch::kDouble);
    const auto rest = local(bind.unsqueeze(0), m.parents)[0];
    const auto q = quaternion_of(rest.slice(1, 0, 3).slice(2, 0, 3));
    Json nodes, joints;
    for (int64_t j = 0; j < J; ++j) {
        Json node{{"name", m.names[static_cast<size_t>(j)]}};
        node["translation"] = list<double>(rest[j].slice(0, 0, 3).select(1, 3));
        node["rotation"] = list<double>(q[j].roll(-1));
        nodes.push_back(node);
        joints.push_back(j);
        if (const auto p = m.parents[j].item<int64_t>(); p >= 0)
            nodes[static_cast<size_t>(p)]["children"].push_back(j);
    }
    nodes.push_back({{"name", "avatar"}, {"mesh", 0}, {"skin", 0}});
    root["nodes"] = nodes;
    auto inverse = for_file(torch::linalg_inv(bind));
    inverse.select(1, 3).copy_(torch::tensor({0.F, 0.F, 0.F, 1.F}));  // to the bit, as it has to be
    root["skins"][0] = {
        {"joints", joints}, {"skeleton", 0}, {"inverseBindMatrices", buffer.add(inverse)}};
    root["scene"] = 0;
    root["scenes"][0]["nodes"] = Json::array({0, J});
}

void add_animation(const SkinnedMesh& m, GlbBuffer& buffer, Json& root) {
    constexpr double kStill = 1e-5;  // metres: a joint that keeps its place in its parent
    const auto pose = local(m.frames.to(torch::kCPU, torch::kDouble), m.parents);
    const int64_t T = pose.size(0), J = pose.size(1);
    const auto time =
        buffer.add(for_file(torch::arange(T, torch::kDouble) / m.fps), GlbUse::kTimes);
    const auto rest = local(m.bind.to(torch::kCPU, torch::kDouble).unsqueeze(0), m.parents)[0];
    Json samplers, channels;
    const auto add = [&](int64_t joint, const char* path, const Tensor& values) {
        channels.push_back(
            {{"sampler", samplers.size()}, {"target", {{"node", joint}, {"path", path}}}});
        samplers.push_back({{"input", time}, {"output", buffer.add(for_file(values))}});
    };
    for (int64_t j = 0; j < J; ++j) {
        const auto matrix = pose.select(1, j).slice(1, 0, 3);
        add(j, "rotation", turns(matrix.slice(2, 0, 3)));
        const auto place = matrix.select(2, 3);
        const auto still = rest[j].slice(0, 0, 3).select(1, 3);
        if ((place - still).abs().max().item<double>() > kStill) add(j, "translation", place);
    }
    root["animations"][0] = {{"name", "motion"}, {"samplers", samplers}, {"channels", channels}};
}

}  // namespace

void write_skinned_glb(const std::filesystem::path& file, const SkinnedMesh& m) {
    check(m);
    GlbBuffer buffer;
    Json root;
    const auto atlas = face_atlas(m.face_color);
    add_material(buffer.add_bytes(png_bytes(atlas.image)), root);
    const auto primitive = add_primitive(m, atlas.uv, buffer);
    root["meshes"][0] = {{"name", "avatar"}, {"primitives", Json::array({primitive})}};
    add_skeleton(m, buffer, root);
    if (m.frames.defined()) add_animation(m, buffer, root);
    if (!m.note.empty()) root["asset"]["extras"]["note"] = m.note;
    buffer.write(file, root.dump());
}

}  // namespace fmgs
