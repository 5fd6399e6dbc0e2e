#include <fmgs/core/body_model.h>

#include <fmgs/core/check.h>
#include <fmgs/core/joints.h>
#include <fmgs/core/rotation.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <numbers>

namespace fmgs {
namespace {

torch::Tensor rigid_inverse(const torch::Tensor& transform) {
    const auto transposed = transform.slice(1, 0, 3).slice(2, 0, 3).transpose(1, 2);
    const auto moved =
        -torch::matmul(transposed, transform.slice(1, 0, 3).slice(2, 3, 4)).squeeze(2);
    return rigid(transposed, moved);
}

// C [J,4,4]: T-pose → star pose. Each leg turns as one piece about its hip; all other joints stay.
torch::Tensor star_transforms(const torch::Tensor& joints, double degrees) {
    const int64_t count = joints.size(0);
    auto rotation = torch::eye(3, joints.options()).repeat({count, 1, 1});
    auto translation = torch::zeros({count, 3}, joints.options());
    if (count < smpl::kJointsWithLegs) return rigid(rotation, translation);
    for (const auto& [leg, side] : {std::pair(smpl::kLeftLeg, 1), std::pair(smpl::kRightLeg, -1)}) {
        const double angle = side * degrees * std::numbers::pi / 180;
        const auto turn = exp_map(torch::tensor({{0.0, 0.0, angle}}, joints.options()))[0];
        const auto hip = joints[leg.front()];
        for (const auto joint : leg) {
            rotation[joint].copy_(turn);
            translation[joint].copy_(hip - torch::mv(turn, hip));
        }
    }
    return rigid(rotation, translation);
}

int64_t tree_depth(const torch::Tensor& parents) {
    const auto* parent = parents.data_ptr<int64_t>();
    std::vector<int64_t> depth(static_cast<size_t>(parents.size(0)), 1);
    int64_t deepest = 1;
    for (size_t j = 1; j < depth.size(); ++j) {
        depth[j] = depth[static_cast<size_t>(parent[j])] + 1;
        deepest = std::max(deepest, depth[j]);
    }
    return deepest;
}

/// What a pose gives: bones, or rotations and a translation of one dtype, where the body is.
void check_pose(const BodyPose& pose, const torch::Tensor& joints) {
    const auto check = [&](const torch::Tensor& x, const char* name, torch::Dtype type) {
        if (x.scalar_type() != type || !x.is_floating_point())
            throw Error(fmt::format("{}: expected {}, got {}", name,
                                    x.is_floating_point() ? toString(type) : "floating point",
                                    toString(x.scalar_type())));
        if (x.device() != joints.device())
            throw Error(fmt::format("{}: expected it on {} as the body, got {}", name,
                                    joints.device().str(), x.device().str()));
    };
    const int64_t count = joints.size(0);
    if (pose.bones.defined()) {
        check_shape(pose.bones, {count, 4, 4}, "pose bones");
        return check(pose.bones, "pose bones", pose.bones.scalar_type());
    }
    check_shape(pose.rotations, {count, 3, 3}, "pose rotations");
    check_shape(pose.translation, {3}, "pose translation");
    const auto type = pose.rotations.scalar_type();
    check(pose.rotations, "pose rotations", type);
    check(pose.translation, "pose translation", type);
}

/// The type in which a pose is given.
torch::Dtype type_of(const BodyPose& pose) {
    return (pose.bones.defined() ? pose.bones : pose.rotations).scalar_type();
}

}  // namespace

BodyModelImpl::BodyModelImpl(const BodyData& data, const torch::Tensor& betas,
                             double star_degrees) {
    check_body(data);
    const auto device = torch::kCPU;
    const auto used = betas.defined() ? betas.to(device, torch::kDouble).reshape({-1})
                                      : torch::zeros({0}, torch::kDouble);
    if (used.size(0) > data.shape_directions.size(2)) {
        throw Error(fmt::format("betas: expected at most {} (the body's shape directions), got {}",
                                data.shape_directions.size(2), used.size(0)));
    }
    if (!used.isfinite().all().item<bool>())
        throw Error("betas: expected finite values, got NaN or infinity");
    // The shape is computed once, in double, and then fixed.
    const auto directions =
        data.shape_directions.to(device, torch::kDouble).slice(2, 0, used.size(0));
    const auto shaped = data.vertices.to(device, torch::kDouble) + torch::matmul(directions, used);
    const auto joints = torch::matmul(data.joint_regressor.to(device, torch::kDouble), shaped);
    TensorDict buffers{{"betas", used},
                       {"shaped", shaped},
                       {"faces", data.faces.to(device)},
                       {"weights", data.weights.to(device)},
                       {"joints", joints},
                       {"parents", data.parents.to(device)},
                       {"canonical_inverse", rigid_inverse(star_transforms(joints, star_degrees))}};
    if (data.pose_directions.defined())
        buffers.set("pose_directions", data.pose_directions.to(device));
    if (data.rest_rotations.defined())
        buffers.set("rest_rotations", data.rest_rotations.to(device));
    keep(buffers.to(torch::kFloat));
}

BodyModelImpl::BodyModelImpl(const TensorDict& buffers) {
    // What holds for a body file holds here; the regressor has done its work, any will do.
    const auto& shaped = buffers.at("shaped");
    const auto& parents = buffers.at("parents");
    check_shape(shaped, {-1, 3}, "shaped template of the body");
    check_shape(parents, {-1}, "parents of the body");
    const int64_t vertices = shaped.size(0), count = parents.size(0);
    const auto* shape = buffers.find("shape_directions");
    const auto* directions = buffers.find("pose_directions");
    const auto* turns = buffers.find("rest_rotations");
    check_body(
        {.vertices = shaped,
         .faces = buffers.at("faces"),
         .weights = buffers.at("weights"),
         .joint_regressor = torch::full({count, vertices}, 1.0 / static_cast<double>(vertices)),
         .parents = parents,
         .shape_directions = shape ? *shape : torch::zeros({vertices, 3, 0}),
         .pose_directions = directions ? *directions : torch::Tensor(),
         .rest_rotations = turns ? *turns : torch::Tensor()});
    check_shape(buffers.at("betas"), {-1}, "betas of the body");
    if (shape && shape->size(2) < buffers.at("betas").size(0))
        throw Error(fmt::format("shape directions of the body: expected {} or more, got {}",
                                buffers.at("betas").size(0), shape->size(2)));
    check_shape(buffers.at("joints"), {count, 3}, "joints of the body");
    check_shape(buffers.at("canonical_inverse"), {count, 4, 4}, "canonical transforms of the body");
    for (const auto* name : {"betas", "joints", "canonical_inverse"}) {
        if (!buffers.at(name).is_floating_point() ||
            !buffers.at(name).isfinite().all().item<bool>())
            throw Error(fmt::format("{} of the body: expected finite numbers", name));
    }
    keep(buffers);
}

void BodyModelImpl::keep(const TensorDict& buffers) {
    const auto buffer = [&](const char* name) {
        return register_buffer(name, buffers.at(name).clone());
    };
    betas_ = buffer("betas");
    shaped_ = buffer("shaped");
    faces_ = buffer("faces");
    weights_ = buffer("weights");
    joints_ = buffer("joints");
    parents_ = buffer("parents");
    if (buffers.contains("shape_directions")) buffer("shape_directions");  // bases_of() reads them
    if (buffers.contains("pose_directions")) pose_directions_ = buffer("pose_directions");
    if (buffers.contains("rest_rotations")) rest_rotations_ = buffer("rest_rotations");
    canonical_inverse_ = buffer("canonical_inverse");
    depth_ = tree_depth(parents_.cpu());
}

std::shared_ptr<torch::nn::Module> BodyModelImpl::clone(
    const std::optional<torch::Device>& device) const {
    TensorDict buffers;
    for (const auto& item : named_buffers(/*recurse=*/false)) buffers.set(item.key(), item.value());
    return cloned(*this, device, buffers);
}

torch::Tensor BodyModelImpl::rest_bones() const {
    return rest_rotations_.defined() ? rigid(rest_rotations_, joints_) : Body::rest_bones();
}

Mesh BodyModelImpl::canonical() const {
    return {skin(weights_, rigid_inverse(canonical_inverse_), shaped_), faces_};
}

torch::Tensor BodyModelImpl::skeleton(const BodyPose& pose) const {
    const int64_t count = joint_count();
    if (pose.bones.defined()) return pose.bones;
    const auto type = pose.rotations.scalar_type();
    const auto joints = joints_.to(type);
    // Joints relative to their parents. The root's carries the translation, which so reaches every
    // joint.
    const auto parents = parents_.slice(0, 1);
    const auto offset = torch::cat({joints.slice(0, 0, 1) + pose.translation.unsqueeze(0),
                                    joints.slice(0, 1) - joints.index_select(0, parents)});
    const auto one = torch::eye(4, joints.options()).unsqueeze(0);
    // row J: above the root there is nothing
    auto chain = torch::cat({rigid(pose.rotations, offset), one});
    auto above = torch::cat(
        {torch::where(parents_ < 0, count, parents_), torch::full({1}, count, parents_.options())});
    // Pointer doubling: after k rounds a row holds the product over its 2^k nearest ancestors,
    // itself included.
    for (int64_t reach = 1; reach < depth_; reach *= 2) {
        chain = torch::matmul(chain.index_select(0, above), chain);
        above = above.index_select(0, above);
    }
    const auto rest = rigid(torch::eye(3, joints.options()).expand({count, 3, 3}), -joints);
    return torch::matmul(chain.slice(0, 0, count), rest);
}

torch::Tensor BodyModelImpl::bones(const BodyPose& pose) const {
    check_pose(pose, joints_);
    return torch::matmul(skeleton(pose), canonical_inverse_.to(type_of(pose)));
}

torch::Tensor BodyModelImpl::posed(const BodyPose& pose, bool blend_shapes) const {
    check_pose(pose, joints_);
    const auto type = type_of(pose);
    auto vertices = shaped_.to(type);
    if (blend_shapes && pose_directions_.defined()) {
        const auto bent = local_rotations(pose).slice(0, 1) - torch::eye(3, vertices.options());
        vertices = vertices + torch::matmul(pose_directions_.to(type), bent.reshape({-1}));
    }
    return skin(weights_.to(type), skeleton(pose), vertices);
}

BodyPose smpl_pose(const torch::Tensor& global_orient, const torch::Tensor& body_pose,
                   const torch::Tensor& transl, int64_t joint_count) {
    check_shape(global_orient, {3}, "global_orient");
    check_shape(body_pose, {-1}, "body_pose");
    check_shape(transl, {3}, "transl");
    const int64_t missing = 3 * (joint_count - 1) - body_pose.size(0);
    if (body_pose.size(0) % 3 != 0 || missing < 0) {
        throw Error(fmt::format(
            "body_pose: expected three numbers for each of at most {} joints, got {} numbers",
            joint_count - 1, body_pose.size(0)));
    }
    const auto angles =
        torch::cat({global_orient, body_pose, torch::zeros({missing}, body_pose.options())});
    return {exp_map(angles.view({-1, 3})), transl};
}

}  // namespace fmgs
