#include <fmgs/core/check.h>
#include <fmgs/core/types.h>

#include <cmath>

namespace fmgs {

torch::Tensor Camera::center() const { return -torch::mv(rotation.t(), translation); }

torch::Tensor Camera::to_camera(const torch::Tensor& points) const {
    return torch::matmul(points, rotation.t()) + translation;
}

Camera Camera::scaled(double factor) const {
    Camera out = *this;
    out.width = std::max<int64_t>(1, std::llround(factor * static_cast<double>(width)));
    out.height = std::max<int64_t>(1, std::llround(factor * static_cast<double>(height)));
    const double sx = static_cast<double>(out.width) / static_cast<double>(width);
    const double sy = static_cast<double>(out.height) / static_cast<double>(height);
    out.intrinsics = intrinsics * torch::tensor({sx, sy, sx, sy}, intrinsics.options());
    return out;
}

Camera Camera::to(torch::Device device) const {
    Camera out = *this;
    out.rotation = rotation.to(device);
    out.translation = translation.to(device);
    out.intrinsics = intrinsics.to(device);
    return out;
}

void Maps::set(const std::string& name, torch::Tensor value) {
    for (auto& [key, tensor] : entries_) {
        if (key == name) {
            tensor = std::move(value);
            return;
        }
    }
    entries_.emplace_back(name, std::move(value));
}

const torch::Tensor* Maps::find(std::string_view name) const {
    for (const auto& [key, tensor] : entries_) {
        if (key == name) return &tensor;
    }
    return nullptr;
}

const torch::Tensor& Maps::at(std::string_view name) const {
    if (const auto* tensor = find(name)) return *tensor;
    std::string have;
    for (const auto& [key, tensor] : entries_) {
        if (!have.empty()) have += ", ";
        have += key;
    }
    throw Error("there is no map '{}'; there are: {}", name, have.empty() ? "none" : have);
}

Maps Maps::to(torch::Device device) const {
    Maps out;
    for (const auto& [key, tensor] : entries_) out.set(key, tensor.to(device));
    return out;
}

BodyPose BodyPose::to(torch::Device device) const { return {rotations.to(device), translation.to(device)}; }

Frame Frame::to(torch::Device device) const {
    return {index, name, camera.to(device), pose.to(device), maps.to(device), truth.to(device)};
}

}  // namespace fmgs
