#include <fmgs/core/types.h>

#include <fmgs/core/check.h>
#include <fmgs/core/rotation.h>
#include <fmt/format.h>

#include <cmath>

namespace fmgs {

namespace {

void check_extrinsics(const Camera& camera) {
    check_shape(camera.rotation, {3, 3}, "camera.rotation");
    check_shape(camera.translation, {3}, "camera.translation");
    if (camera.rotation.scalar_type() != camera.translation.scalar_type())
        throw Error(fmt::format("camera.translation: expected {} as the rotation, got {}",
                                toString(camera.rotation.scalar_type()),
                                toString(camera.translation.scalar_type())));
}

void check_like(const torch::Tensor& x, const torch::Tensor& like, const char* name) {
    if (x.scalar_type() == like.scalar_type() && x.device() == like.device()) return;
    throw Error(fmt::format("{}: expected {} on {} as the camera, got {} on {}", name,
                            toString(like.scalar_type()), like.device().str(),
                            toString(x.scalar_type()), x.device().str()));
}

}  // namespace

torch::Tensor Camera::center() const {
    check_extrinsics(*this);
    return -torch::mv(rotation.t(), translation);
}

torch::Tensor Camera::to_camera(const torch::Tensor& points) const {
    check_extrinsics(*this);
    check_shape(points, {-1, 3}, "points");
    check_like(points, rotation, "points");
    return torch::matmul(points, rotation.t()) + translation;
}

Camera Camera::scaled(double factor) const {
    check_shape(intrinsics, {4}, "camera.intrinsics");
    if (!(factor > 0) || !std::isfinite(factor) || width < 1 || height < 1)
        throw Error(
            fmt::format("camera: expected a positive factor and a size to scale, got {} and {}x{}",
                        factor, width, height));
    Camera out = *this;
    out.width = std::max<int64_t>(1, std::llround(factor * static_cast<double>(width)));
    out.height = std::max<int64_t>(1, std::llround(factor * static_cast<double>(height)));
    const double sx = static_cast<double>(out.width) / static_cast<double>(width);
    const double sy = static_cast<double>(out.height) / static_cast<double>(height);
    out.intrinsics = intrinsics * torch::tensor({sx, sy, sx, sy}, intrinsics.options());
    return out;
}

Camera Camera::orbit(const torch::Tensor& pivot, const torch::Tensor& axis, double angle) const {
    check_extrinsics(*this);
    check_shape(pivot, {3}, "pivot");
    check_shape(axis, {3}, "axis");
    check_like(pivot, rotation, "pivot");
    check_like(axis, rotation, "axis");
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

namespace {

/// Undefined tensors stay so: a pose that has bones may lack the rest.
template <class Target>
Camera converted(const Camera& camera, Target target) {
    Camera out = camera;
    for (auto* x : {&out.rotation, &out.translation, &out.intrinsics})
        if (x->defined()) *x = x->to(target);
    return out;
}

template <class Target>
BodyPose converted(const BodyPose& pose, Target target) {
    BodyPose out = pose;
    for (auto* x : {&out.rotations, &out.translation, &out.bones})
        if (x->defined()) *x = x->to(target);
    return out;
}

}  // namespace

Camera Camera::to(torch::Device device) const { return converted(*this, device); }
Camera Camera::to(torch::Dtype dtype) const { return converted(*this, dtype); }
BodyPose BodyPose::to(torch::Device device) const { return converted(*this, device); }
BodyPose BodyPose::to(torch::Dtype dtype) const { return converted(*this, dtype); }

Frame Frame::to(torch::Device device) const {
    return {index, name, camera.to(device), pose.to(device), maps.to(device), truth.to(device)};
}

Frame Frame::to(torch::Dtype dtype) const {
    return {index, name, camera.to(dtype), pose.to(dtype), maps.to(dtype), truth.to(dtype)};
}

}  // namespace fmgs
