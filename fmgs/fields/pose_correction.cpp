#include <fmgs/fields/pose_correction.h>

#include <fmgs/core/check.h>
#include <fmgs/core/rotation.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace fmgs {

namespace {

std::shared_ptr<PictureBackbone> backbone_of(const PoseCorrectionOptions& options, uint64_t seed) {
    if (options.backbone.empty()) return std::make_shared<ConvBackboneImpl>(options.channels, seed);
    return std::make_shared<ScriptedBackboneImpl>(options.backbone, options.size);
}

torch::Tensor limits_of(const PoseCorrectionOptions& options, int64_t joints) {
    auto limits = torch::full({joints + 1}, options.joint_limit, torch::kFloat);
    limits[0] = options.root_limit;
    limits[joints] = options.translation_limit;
    return limits;
}

}  // namespace

PoseCorrectionImpl::PoseCorrectionImpl(std::shared_ptr<PictureBackbone> backbone,
                                       const torch::Tensor& limits)
    : backbone_(std::move(backbone)) {
    if (!backbone_) throw Error("PoseCorrection: backbone: expected a network, got none");
    check_shape(limits, {-1}, "limits of the pose correction");
    register_module("backbone", backbone_);
    limits_ = register_buffer("limits", limits.clone());
    const int64_t count = 3 * limits.size(0);
    weight_ = register_parameter("weight", torch::zeros({count, backbone_->width()}));
    bias_ = register_parameter("bias", torch::zeros({count}));
}

PoseCorrectionImpl::PoseCorrectionImpl(const PoseCorrectionOptions& options, int64_t joints,
                                       uint64_t seed)
    : PoseCorrectionImpl(backbone_of(options, seed), limits_of(options, joints)) {}

torch::Tensor PoseCorrectionImpl::forward(const torch::Tensor& pictures) {
    const auto h =
        torch::linear(backbone_->forward(pictures), weight_, bias_).view({pictures.size(0), -1, 3});
    const auto length = (h.square().sum(2, true) + 1e-12).sqrt();
    return limits_.view({-1, 1}) * (torch::tanh(length) / length) * h;
}

BodyPose PoseCorrectionImpl::corrected(const torch::Tensor& picture, const BodyPose& pose) {
    if (pose.bones.defined())
        throw Error("pose correction: expected joint rotations, got bones; they are not corrected");
    const int64_t joints = limits_.size(0) - 1;
    check_shape(pose.rotations, {joints, 3, 3}, "rotations of the pose to correct");
    const auto change = forward(picture.unsqueeze(0))[0];
    return {torch::matmul(pose.rotations, exp_map(change.slice(0, 0, joints))),
            pose.translation + change[joints]};
}

std::shared_ptr<torch::nn::Module> PoseCorrectionImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, std::dynamic_pointer_cast<PictureBackbone>(backbone_->clone()),
                  limits_);
}

}  // namespace fmgs
