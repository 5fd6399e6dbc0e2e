
#include <fmgs/core/body_model.h>

#include <fmgs/core/check.h>
#include <fmgs/core/rotation.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <numbers>

namespace fmgs {
namespace {

// [R | t] over (0 0 0 1): [J,3,3], [J,3] → [J,4,4].
torch::Tensor rigid(const torch::Tensor& rotation, const torch::Tensor& translation) {
    const auto bottom = torch::eye(4, rotation.options()).slice(0, 3).unsqueeze(0);
    return torch::cat({torch::cat({rotation, translation.unsqueeze(2)}, 2),
                       bottom.expand({rotation.size(0), 1, 4})},
                      1);
}

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
    if (count < 12) return rigid(rotation, translation);
    for (const int64_t hip : {1, 2}) {
        const double angle = (hip == 1 ? 1 : -1) * degrees * std::numbers::pi / 180;
        const auto turn = exp_map(torch::tensor({{0.0, 0.0, angle}}, joints.options()))[0];
        for (int64_t joint = hip; joint < 12; joint += 3) {  // hip, knee, ankle, foot
            rotation[joint].copy_(turn);
            translation[joint].copy_(joints[hip] - torch::mv(turn, joints[hip]));
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

// x' = (Σ_j w_j T_j) x for each vertex.
torch::Tensor skin(const torch::Tensor& weights, const torch::Tensor& transforms,
                   const torch::Tensor& vertices) {
    const auto blended =
        torch::matmul(weights, transforms.slice(1, 0, 3).reshape({-1, 12})).view({-1, 3, 4});
    return torch::matmul(blended.slice(2, 0, 3), vertices.unsqueeze(2)).squeeze(2) +
           blended.select(2, 3);
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
    const auto buffer = [&](const char* name, const torch::Tensor& value) {
        return register_buffer(
            name, value.is_floating_point() ? value.to(torch::kFloat).clone() : value.clone());
    };
    betas_ = buffer("betas", used);
    shaped_ = buffer("shaped", shaped);
    faces_ = buffer("faces", data.faces.to(device));
    weights_ = buffer("weights", data.weights.to(device));
    joints_ = buffer("joints", joints);
    parents_ = buffer("parents", data.parents.to(device));
    if (data.pose_directions.defined()) {
        pose_directions_ = buffer("pose_directions", data.pose_directions.to(device));
    }
    canonical_inverse_ =
        buffer("canonical_inverse", rigid_inverse(star_transforms(joints, star_degrees)));
    depth_ = tree_depth(parents_);
}

BodyModelImpl::BodyModelImpl(const TensorDict& buffers) {
    const auto buffer = [&](const char* name) {
        return register_buffer(name, buffers.at(name).clone());
    };
    betas_ = buffer("betas");
    shaped_ = buffer("shaped");
    faces_ = buffer("faces");
    weights_ = buffer("weights");
    joints_ = buffer("joints");
    parents_ = buffer("parents");
    if (buffers.contains("pose_directions")) pose_directions_ = buffer("pose_directions");
    canonical_inverse_ = buffer("canonical_inverse");
    check_shape(weights_, {-1, -1}, "weights");
    const int64_t vertices = weights_.size(0), joints = weights_.size(1);
    // The joints are there already: any regressor whose rows sum to one stands in for the body's.
    check_body({.vertices = shaped_,
                .faces = faces_,
                .weights = weights_,
                .joint_regressor = torch::full({joints, vertices}, 1.0 / double(vertices)),
                .parents = parents_,
                .shape_directions = torch::zeros({vertices, 3, 0}),
                .pose_directions = pose_directions_});
    check_shape(betas_, {-1}, "betas");
    check_shape(joints_, {joints, 3}, "joints");
    check_shape(canonical_inverse_, {joints, 4, 4}, "canonical_inverse");
    for (const auto* value : {&betas_, &shaped_, &weights_, &joints_, &canonical_inverse_}) {
        if (value->scalar_type() != torch::kFloat || !value->isfinite().all().item<bool>())
            throw Error("body: expected finite float32 values");
    }
    depth_ = tree_depth(parents_);
}

Mesh BodyModelImpl::canonical() const {
    return {skin(weights_, rigid_inverse(canonical_inverse_), shaped_), faces_};
}

torch::Tensor BodyModelImpl::skeleton(const BodyPose& pose) const {
    const int64_t count = joint_count();
    check_shape(pose.rotations, {count, 3, 3}, "pose rotations");
    check_shape(pose.translation, {3}, "pose translation");
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
    return torch::matmul(skeleton(pose), canonical_inverse_.to(pose.rotations.scalar_type()));
}

torch::Tensor BodyModelImpl::posed(const BodyPose& pose, bool blend_shapes) const {
    const auto type = pose.rotations.scalar_type();
    auto vertices = shaped_.to(type);
    if (blend_shapes && pose_directions_.defined()) {
        const auto bent = pose.rotations.slice(0, 1) - torch::eye(3, pose.rotations.options());
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
