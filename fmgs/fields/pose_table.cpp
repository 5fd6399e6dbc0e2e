#include <fmgs/fields/pose_table.h>

#include <fmgs/core/check.h>
#include <fmgs/core/rotation.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace fmgs {

PoseRows PoseSource::rows() {
    const torch::NoGradGuard guard;  // values
    std::vector<torch::Tensor> turns, places;
    for (int64_t k = 0; k < size(); ++k) {
        const auto pose = forward(k);
        turns.push_back(log_map(pose.rotations));
        places.push_back(pose.translation);
    }
    return {torch::stack(turns), torch::stack(places)};
}

void PoseSource::check_row(int64_t index) const {
    if (index < 0 || index >= size())
        throw Error(fmt::format("poses: index: expected a row in [0,{}), got {}", size(), index));
}

PoseTableImpl::PoseTableImpl(const std::vector<BodyPose>& poses) {
    if (poses.empty()) throw Error("PoseTable: poses: expected at least one, got none");
    check_shape(poses.front().rotations, {-1, 3, 3}, "rotations of pose 0");
    const int64_t frames = static_cast<int64_t>(poses.size()),
                  joints = poses.front().rotations.size(0);
    std::vector<torch::Tensor> rotations, translations;
    for (size_t k = 0; k < poses.size(); ++k) {
        check_shape(poses[k].rotations, {joints, 3, 3},
                    ("rotations of pose " + std::to_string(k)).c_str());
        check_shape(poses[k].translation, {3},
                    ("translation of pose " + std::to_string(k)).c_str());
        rotations.push_back(poses[k].rotations);
        translations.push_back(poses[k].translation);
    }
    keep(log_map(torch::cat(rotations)).view({frames, joints, 3}), torch::stack(translations));
}

PoseTableImpl::PoseTableImpl(const torch::Tensor& axis_angle, const torch::Tensor& translation) {
    check_shape(axis_angle, {-1, -1, 3}, "axis angles of the pose table");
    check_shape(translation, {axis_angle.size(0), 3}, "translations of the pose table");
    keep(axis_angle, translation);
}

void PoseTableImpl::keep(const torch::Tensor& axis_angle, const torch::Tensor& translation) {
    torch::NoGradGuard guard;  // initial values: parameters are leaves
    root_ = register_parameter("root", axis_angle.select(1, 0).clone());
    joints_ = register_parameter("joints", axis_angle.slice(1, 1).clone());
    translation_ = register_parameter("translation", translation.clone());
}

PoseRows PoseTableImpl::rows() {
    const torch::NoGradGuard guard;  // values
    return {torch::cat({root_.unsqueeze(1), joints_}, 1), translation_.clone()};
}

std::shared_ptr<torch::nn::Module> PoseTableImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, torch::cat({root_.unsqueeze(1), joints_}, 1), translation_);
}

BodyPose PoseTableImpl::forward(int64_t index) {
    check_row(index);
    return {exp_map(torch::cat({root_[index].unsqueeze(0), joints_[index]})), translation_[index]};
}

}  // namespace fmgs
