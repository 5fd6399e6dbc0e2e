#include <fmgs/core/types.h>

#include <fmgs/core/check.h>
#include <fmgs/core/rotation.h>

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

Camera Camera::orbit(const torch::Tensor& pivot, const torch::Tensor& axis, double angle) const {
    Camera out = *this;
    const auto turn = exp_map((axis * angle).unsqueeze(0)).squeeze(0);
    out.rotation = torch::mm(rotation, turn);
    out.translation = translation + torch::mv(rotation, pivot - torch::mv(turn, pivot));
    return out;
}

Camera Camera::look_at(const torch::Tensor& eye, const torch::Tensor& target,
                       const torch::Tensor& up, double focal, int64_t width, int64_t height) {
    const auto unit = [](const torch::Tensor& x) { return x / x.norm(); };
    const auto forward = unit(target - eye);
    const auto across = torch::cross(forward, up, 0);
    if (!(across.norm().item<double>() > 1e-6 * up.norm().item<double>()))
        throw Error("look_at: expected `up` to point away from the line of sight");
    const auto right = unit(across);
    Camera out;
    out.rotation = torch::stack({right, torch::cross(forward, right, 0), forward});
    out.translation = -torch::mv(out.rotation, eye);
    out.intrinsics = torch::tensor(
        {focal, focal, 0.5 * static_cast<double>(width), 0.5 * static_cast<double>(height)},
        eye.options());
    out.width = width;
    out.height = height;
    return out;
}

Camera Camera::to(torch::Device device) const {
    Camera out = *this;
    out.rotation = rotation.to(device);
    out.translation = translation.to(device);
    out.intrinsics = intrinsics.to(device);
    return out;
}

Camera Camera::to(torch::Dtype dtype) const {
    Camera out = *this;
    out.rotation = rotation.to(dtype);
    out.translation = translation.to(dtype);
    out.intrinsics = intrinsics.to(dtype);
    return out;
}

namespace {

template <class Target>
BodyPose converted(const BodyPose& pose, Target target) {
    BodyPose out = pose;  // one that has bones may lack the rest
    for (auto* x : {&out.rotations, &out.translation, &out.bones})
        if (x->defined()) *x = x->to(target);
    return out;
}

}  // namespace

BodyPose BodyPose::to(torch::Device device) const { return converted(*this, device); }
BodyPose BodyPose::to(torch::Dtype dtype) const { return converted(*this, dtype); }

Frame Frame::to(torch::Device device) const {
    return {index, name, camera.to(device), pose.to(device), maps.to(device), truth.to(device)};
}

Frame Frame::to(torch::Dtype dtype) const {
    return {index, name, camera.to(dtype), pose.to(dtype), maps.to(dtype), truth.to(dtype)};
}

}  // namespace fmgs
