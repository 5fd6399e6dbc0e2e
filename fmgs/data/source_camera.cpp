#include <fmgs/data/source_camera.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

namespace {

torch::Tensor numbers(const torch::Tensor& x, torch::IntArrayRef shape, const std::string& what) {
    if (x.numel() != c10::multiply_integers(shape))
        throw Error(
            fmt::format("{}: expected {}, got {}", what, shape_text(shape), shape_text(x.sizes())));
    const auto out = x.to(torch::kDouble).reshape(shape);
    if (!out.isfinite().all().item<bool>())
        throw Error(fmt::format("{}: holds NaN or infinity", what));
    return out;
}

bool same(const torch::Tensor& a, const torch::Tensor& b) {
    return a.defined() == b.defined() && (!a.defined() || torch::equal(a, b));
}

}  // namespace

Camera SourceCamera::camera() const {
    Camera out;
    const auto& K = intrinsic;
    out.rotation = extrinsic.slice(0, 0, 3).slice(1, 0, 3).to(torch::kFloat).contiguous();
    out.translation = extrinsic.slice(0, 0, 3).select(1, 3).to(torch::kFloat).contiguous();
    out.intrinsics = torch::stack({K[0][0], K[1][1], K[0][2], K[1][2]}).to(torch::kFloat);
    out.width = width;
    out.height = height;
    return out;
}

torch::Tensor nearest_rotation(const torch::Tensor& R, const std::string& what) {
    const auto x = numbers(R, {3, 3}, what);
    const auto [U, S, V] = torch::linalg_svd(x, true, std::nullopt);
    const auto nearest = torch::matmul(U, V);
    const double away = (nearest - x).abs().max().item<double>();
    if (away > 5e-3 || torch::det(x).item<double>() < 0)
        throw Error(
            fmt::format("{}: expected a rotation, world to camera, but it is {:.3f} away from one; "
                        "a scale or a "
                        "mirror is in it",
                        what, away));
    return nearest;
}

torch::Tensor extrinsic_of(const torch::Tensor& R, const torch::Tensor& t) {
    auto E = torch::eye(4, torch::kDouble);
    E.slice(0, 0, 3).slice(1, 0, 3).copy_(R);
    E.slice(0, 0, 3).select(1, 3).copy_(t.reshape(3));
    return E;
}

torch::Tensor intrinsic_of(double fx, double fy, double cx, double cy) {
    return torch::tensor({fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0}, torch::kDouble).reshape({3, 3});
}

SourceCamera make_camera(const CameraNumbers& in, const std::string& what) {
    SourceCamera out;
    const auto K = numbers(in.K, {3, 3}, what + ": intrinsic matrix").clone();
    const auto last = K[2] - torch::tensor({0.0, 0.0, 1.0}, torch::kDouble);
    if (last.abs().max().item<double>() > 1e-6)
        throw Error(
            fmt::format("{}: intrinsic matrix: expected the last row to be 0,0,1; is it "
                        "transposed or scaled?",
                        what));
    const double fx = K[0][0].item<double>(), fy = K[1][1].item<double>();
    if (!(fx > 0 && fy > 0) || K[0][1].abs().item<double>() > 1e-6 * fx ||
        K[1][0].abs().item<double>() > 1e-6 * fx)
        throw Error(
            fmt::format("{}: intrinsic matrix: expected positive focal lengths and no skew", what));
    if (in.center == PixelCenter::integer) K.slice(0, 0, 2).select(1, 2).add_(0.5);
    out.intrinsic = K;
    const auto R = in.R.defined() ? nearest_rotation(in.R, what + ": rotation")
                                  : torch::eye(3, torch::kDouble);
    const auto t = in.t.defined() ? numbers(in.t, {3}, what + ": translation")
                                  : torch::zeros({3}, torch::kDouble);
    out.extrinsic = extrinsic_of(R, t);
    if (in.dist.defined() && in.dist.count_nonzero().item<int64_t>() > 0) {
        out.distortion = numbers(in.dist, {in.dist.numel()}, what + ": distortion");
        check_distortion(out.distortion, what + ": distortion");
    }
    return out;
}

void check_distortion(const torch::Tensor& distortion, const std::string& what) {
    const int64_t count = distortion.size(-1);
    if (count != 4 && count != 5 && count != 8 && count != 12 && count != 14)
        throw Error(
            fmt::format("{}: expected 4, 5, 8, 12 or 14 numbers in OpenCV's order, got {}; "
                        "undistort the pictures and write zeros here",
                        what, count));
    if (distortion.slice(-1, 12).count_nonzero().item<int64_t>() > 0)
        throw Error(
            fmt::format("{}: a tilted sensor (tau) is not supported; undistort the pictures "
                        "and write zeros here",
                        what));
}

Undistortion::Undistortion(const SourceCamera& camera, int64_t height, int64_t width)
    : camera_(camera) {
    auto d = torch::zeros({14}, torch::kDouble);
    d.slice(0, 0, camera.distortion.numel()).copy_(camera.distortion);
    const auto k = [&](int64_t i) { return d[i].item<double>(); };
    const auto& K = camera.intrinsic;
    const auto at = [&](int64_t i, int64_t j) { return K[i][j].item<double>(); };
    const auto x =
        ((torch::arange(width, torch::kDouble) + 0.5 - at(0, 2)) / at(0, 0)).unsqueeze(0);
    const auto y =
        ((torch::arange(height, torch::kDouble) + 0.5 - at(1, 2)) / at(1, 1)).unsqueeze(1);
    const auto r2 = x * x + y * y;
    const auto radial =
        (1 + r2 * (k(0) + r2 * (k(1) + r2 * k(4)))) / (1 + r2 * (k(5) + r2 * (k(6) + r2 * k(7))));
    const auto xd =
        x * radial + 2 * k(2) * x * y + k(3) * (r2 + 2 * x * x) + r2 * (k(8) + r2 * k(9));
    const auto yd =
        y * radial + k(2) * (r2 + 2 * y * y) + 2 * k(3) * x * y + r2 * (k(10) + r2 * k(11));
    // grid_sample's -1 and 1 are the outer edges of the outer pixels.
    const auto u = (xd * at(0, 0) + at(0, 2)) * (2.0 / static_cast<double>(width)) - 1;
    const auto v = (yd * at(1, 1) + at(1, 2)) * (2.0 / static_cast<double>(height)) - 1;
    grid_ = torch::stack({u, v}, 2).unsqueeze(0).to(torch::kFloat);
}

torch::Tensor Undistortion::linear(const torch::Tensor& x) const {
    return torch::grid_sampler_2d(x.to(torch::kFloat).unsqueeze(0), grid_, /*bilinear=*/0,
                                  /*zeros=*/0, /*align_corners=*/false)
        .squeeze(0);
}

torch::Tensor Undistortion::mask(const torch::Tensor& x) const {
    return (linear(x) >= 0.5).to(torch::kFloat);
}

torch::Tensor Undistortion::valid(const torch::Tensor& x, const torch::Tensor& valid) const {
    const auto known = valid.to(torch::kFloat);
    const auto weight = linear(known);
    return torch::where(weight >= 0.5, linear(x * known) / weight.clamp_min(0.5),
                        torch::zeros({}, torch::kFloat));
}

torch::Tensor Undistortion::nearest(const torch::Tensor& x) const {
    // Labels are small: float has them exactly.
    return torch::grid_sampler_2d(x.to(torch::kFloat).reshape({1, 1, x.size(-2), x.size(-1)}),
                                  grid_, /*nearest=*/1, /*zeros=*/0, /*align_corners=*/false)
        .reshape(x.sizes())
        .to(x.scalar_type());
}

std::shared_ptr<const Undistortion> Undistortions::of(const SourceCamera& camera, int64_t height,
                                                      int64_t width) {
    if (!camera.distortion.defined()) return nullptr;
    const std::lock_guard lock(mutex_);
    for (const auto& made : last_) {
        if (same(made->camera_.intrinsic, camera.intrinsic) &&
            same(made->camera_.distortion, camera.distortion) && made->grid_.size(1) == height &&
            made->grid_.size(2) == width)
            return made;
    }
    constexpr size_t kMost = 4;
    if (last_.size() == kMost) last_.erase(last_.begin());
    return last_.emplace_back(std::make_shared<const Undistortion>(camera, height, width));
}

}  // namespace fmgs
