#include <fmgs/baked_avatar.h>

#include <fmgs/core/check.h>
#include <fmgs/core/linear_surfels.h>
#include <fmgs/core/named_tensors.h>
#include <fmgs/core/rotation.h>
#include <fmt/format.h>
#include <torch/types.h>

namespace fmgs {

namespace {

constexpr int64_t kMostJoints = 1024;
constexpr int64_t kAttributes = 8;  // of a row, but for the offset

void check_finite(const torch::Tensor& x, const std::string& name) {
    if (!x.is_floating_point() || !x.isfinite().all().item<bool>())
        throw Error(fmt::format("{}: expected finite numbers", name));
}

/// Error unless all integers lie in [0, end).
void check_range(const torch::Tensor& x, int64_t end, const char* name) {
    if (x.scalar_type() != torch::kInt64 || ((x < 0) | (x >= end)).any().item<bool>())
        throw Error(fmt::format("{}: expected int64 numbers in [0,{})", name, end));
}

/// The body without what a baked avatar has no use for: blend shapes.
BodyModel without_directions(const BodyModel& body) {
    TensorDict kept;
    bool had_some = false;
    for (const auto& [name, tensor] : named_tensors(*body)) {
        if (name == "pose_directions" || name == "shape_directions")
            had_some = true;
        else
            kept.set(name, tensor);
    }
    return had_some ? BodyModel(kept) : body;
}

}  // namespace

TensorDict BakedParts::tensors() const {
    TensorDict out{{"center", center},
                   {"frame", frame},
                   {"opacity", opacity},
                   {"bone_index", bone_index},
                   {"bone_weight", bone_weight},
                   {"mean", mean},
                   {"components", components},
                   {"projection", projection},
                   {"bias", bias}};
    if (labels.defined()) out.set("labels", labels);
    return out;
}

void BakedParts::check() const {
    if (body.is_empty()) throw Error("body: expected a BodyModel, got none");
    const int64_t J = body->joint_count(), faces = body->faces().size(0);
    if (J > kMostJoints)
        throw Error(fmt::format("body: expected at most {} joints, got {}", kMostJoints, J));
    check_shape(center, {-1, 3}, "center");
    const int64_t N = center.size(0);
    if (subdivisions < 0 || subdivisions > 10 || faces << (2 * subdivisions) != N) {
        throw Error(fmt::format("center: {} subdivisions of {} faces do not make {} surfels",
                                subdivisions, faces, N));
    }
    check_shape(mean, {N, -1}, "mean");
    const int64_t width = mean.size(1);
    if (width != kAttributes + 1 && width != kAttributes + 3)
        throw Error(fmt::format("mean: expected [{},9] or [{},11], got {}", N, N,
                                shape_text(mean.sizes())));
    check_shape(bias, {-1}, "bias");
    const int64_t K = bias.size(0);
    check_shape(frame, {N, 3, 3}, "frame");
    check_shape(opacity, {N, 1}, "opacity");
    check_shape(bone_index, {N, kBakedBones}, "bone_index");
    check_shape(bone_weight, {N, kBakedBones}, "bone_weight");
    check_shape(components, {K, N, width}, "components");
    check_shape(projection, {9 * (J - 1), K}, "projection");
    for (const auto& [name, tensor] : tensors()) {
        if (name != "bone_index" && name != "labels") check_finite(tensor, name);
    }
    check_range(bone_index, J, "bone_index");
    if (((bone_weight.sum(1) - 1).abs() > 1e-4).any().item<bool>() ||
        (bone_weight < 0).any().item<bool>())
        throw Error("bone_weight: expected rows of weights that sum to one");
    if (((opacity < 0) | (opacity > 1)).any().item<bool>())
        throw Error("opacity: expected numbers in [0,1]");
    if (!(far_side > 0 && far_side <= 1))
        throw Error(fmt::format("far_side: expected a number in (0,1], got {}", far_side));
    if (!labels.defined()) return;
    check_shape(labels, {N}, "labels");
    check_range(labels, 255, "labels");
}

torch::Tensor pose_numbers(const Body& body, const BodyPose& pose) {
    const auto local = body.local_rotations(pose).slice(0, 1);
    return (local - torch::eye(3, local.options())).reshape({-1});
}

BakedAvatarImpl::BakedAvatarImpl(const BakedParts& parts) : parts_(parts) {
    parts.check();
    parts_.body = register_module("body", without_directions(parts.body));
    const auto keep = [&](const char* name, torch::Tensor& x) {
        x = register_buffer(name, x.clone(at::MemoryFormat::Contiguous));
    };
    keep("center", parts_.center);
    keep("frame", parts_.frame);
    keep("opacity", parts_.opacity);
    keep("bone_index", parts_.bone_index);
    keep("bone_weight", parts_.bone_weight);
    keep("mean", parts_.mean);
    keep("components", parts_.components);
    keep("projection", parts_.projection);
    keep("bias", parts_.bias);
    const auto weights = parts_.bone_weight.new_zeros({size(), parts_.body->joint_count()});
    skinning_ =
        register_buffer("skinning", weights.scatter_add_(1, parts_.bone_index, parts_.bone_weight));
    if (!parts_.labels.defined()) return;
    keep("labels", parts_.labels);
    labels_ =
        register_buffer("one_hot", torch::one_hot(parts_.labels).to(parts_.mean.scalar_type()));
}

std::shared_ptr<torch::nn::Module> BakedAvatarImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, parts_);
}

std::shared_ptr<BakedAvatarImpl> BakedAvatarImpl::with_components(int64_t count) const {
    if (count < 0 || count > component_count())
        throw Error(fmt::format("components: expected a number in [0,{}], got {}",
                                component_count(), count));
    auto parts = parts_;
    parts.components = parts.components.slice(0, 0, count);
    parts.projection = parts.projection.slice(1, 0, count);
    parts.bias = parts.bias.slice(0, 0, count);
    return std::make_shared<BakedAvatarImpl>(parts);
}

torch::Tensor BakedAvatarImpl::coefficients(const BodyPose& pose) const {
    const auto numbers = pose_numbers(*parts_.body, pose);
    if (numbers.scalar_type() != parts_.mean.scalar_type())
        throw Error(fmt::format("pose: expected {} like the avatar, got {}; convert with to(dtype)",
                                c10::toString(parts_.mean.scalar_type()),
                                c10::toString(numbers.scalar_type())));
    return torch::addmv(parts_.bias, parts_.projection.t(), numbers);
}

Surfels BakedAvatarImpl::with_attributes(const torch::Tensor& attributes,
                                         const torch::Tensor& bones) const {
    const int64_t axes = attributes.size(1) - kAttributes;
    const auto part = attributes.split_with_sizes({axes, 2, 3, 3}, 1);
    const auto along = axes == 1 ? parts_.frame.select(2, 2) * part[0] : part[0];
    Surfels s;
    s.position = parts_.center + along;
    s.rotation = turned(parts_.frame, part[2]);
    s.scale = part[1].exp();
    s.opacity = parts_.opacity;
    s.skinning = skinning_;
    s.bones = bones;
    s.far_side = parts_.far_side;
    s.mip = parts_.mip;
    s.features.set("color", part[3].clamp(0, 1));
    if (labels_.defined()) s.features.set("semantic", labels_);
    return s;
}

Surfels BakedAvatarImpl::surfels(const BodyPose& pose) const {
    const int64_t K = component_count();
    const auto rows =
        torch::addmv(parts_.mean.flatten(), parts_.components.view({K, parts_.mean.numel()}).t(),
                     coefficients(pose));
    return with_attributes(rows.view(parts_.mean.sizes()), parts_.body->bones(pose));
}

PosedSurfels BakedAvatarImpl::forward(const BodyPose& pose) const {
    const auto c = coefficients(pose), bones = parts_.body->bones(pose);
    if (!c.device().is_cpu() || c.requires_grad() || bones.requires_grad())
        return surfels(pose).posed();
    auto posed = detail::pose_linear_surfels({parts_.center, parts_.frame, parts_.bone_index,
                                              parts_.bone_weight, parts_.mean, parts_.components},
                                             c, bones);
    posed.opacity = parts_.opacity;
    posed.far_side = parts_.far_side;
    posed.mip = parts_.mip;
    if (labels_.defined()) posed.features.set("semantic", labels_);
    return posed;
}

Surfels BakedAvatarImpl::canonical() const {
    const auto bones =
        torch::eye(4, parts_.mean.options()).expand({parts_.body->joint_count(), 4, 4});
    return with_attributes(parts_.mean, bones);
}

}  // namespace fmgs
