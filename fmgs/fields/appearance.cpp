#include <fmgs/fields/appearance.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/cuda/upload.h>
#include <torch/types.h>

#include <numbers>

namespace fmgs {
namespace {

/// Rx(a)·Ry(b)·Rz(c) with a, c ~ σ·N(0,1) held within ±90° and b ~ σ·U(0,1): 3DGS-Avatar's draw.
/// [3,3] on the CPU.
torch::Tensor random_turn(double degrees, const Random& random) {
    constexpr double kRadians = std::numbers::pi / 180;
    auto generator = random.generator("view_noise");
    const auto normal =
        (torch::randn({2}, generator, torch::kDouble) * degrees).clamp(-90, 90) * kRadians;
    const auto uniform = torch::rand({1}, generator, torch::kDouble) * degrees * kRadians;
    const auto angle = torch::stack({normal[0], uniform[0], normal[1]});
    const auto s = angle.sin().unbind(), c = angle.cos().unbind();
    const auto zero = torch::zeros({}, torch::kDouble), one = torch::ones({}, torch::kDouble);
    const auto matrix = [](std::initializer_list<torch::Tensor> entries) {
        return torch::stack(torch::TensorList(entries.begin(), entries.size())).view({3, 3});
    };
    const auto rx = matrix({one, zero, zero, zero, c[0], -s[0], zero, s[0], c[0]});
    const auto ry = matrix({c[1], zero, s[1], zero, one, zero, -s[1], zero, c[1]});
    const auto rz = matrix({c[2], -s[2], zero, s[2], c[2], zero, zero, zero, one});
    return rx.matmul(ry).matmul(rz);
}

}  // namespace

torch::Tensor spherical_harmonics(const torch::Tensor& direction) {
    check_shape(direction, {-1, 3}, "direction");
    const auto d = direction.unbind(1);
    const auto &x = d[0], &y = d[1], &z = d[2];
    const auto xx = x * x, yy = y * y, zz = z * z, xy = x * y;
    return torch::stack(
        {-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x,
         1.0925484305920792 * xy, -1.0925484305920792 * y * z,
         0.31539156525252005 * (2 * zz - xx - yy), -1.0925484305920792 * x * z,
         0.5462742152960396 * (xx - yy), -0.5900435899266435 * y * (3 * xx - yy),
         2.890611442640554 * xy * z, -0.4570457994644658 * y * (4 * zz - xx - yy),
         0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
         -0.4570457994644658 * x * (4 * zz - xx - yy), 1.445305721320277 * z * (xx - yy),
         -0.5900435899266435 * x * (xx - 3 * yy)},
        1);
}

AppearanceFieldImpl::AppearanceFieldImpl(const AppearanceFieldOptions& options,
                                         const torch::Tensor& box, int64_t geometry_code_width,
                                         int64_t pose_code_width, uint64_t seed)
    : options_(options),
      geometry_code_width_(geometry_code_width),
      pose_code_width_(pose_code_width) {
    check_ranges(options, "avatar.appearance");
    constexpr int64_t kHarmonics = 15;
    const Random random{seed};
    volume_ = register_module("volume",
                              HashGrid(options.volume, box, random.number("appearance.volume")));
    const int64_t width = volume_->width() + geometry_code_width + kHarmonics + pose_code_width;
    mlp_ = register_module("mlp", Mlp(std::vector<int64_t>{width, options.hidden, 3},
                                      random.number("appearance.mlp")));
}

torch::Tensor AppearanceFieldImpl::forward(const FieldInput& in) {
    check_shape(in.geometry_code, {in.at.size(), geometry_code_width_}, "geometry_code");
    check_shape(in.direction, {in.at.size(), 3}, "direction");
    auto direction = in.direction;
    if (in.random && options_.view_noise > 0) {
        const auto turn = upload(random_turn(options_.view_noise, *in.random),
                                 direction.options().requires_grad(false));
        direction = direction.matmul(turn.t());
    }
    const auto x =
        torch::cat({volume_->forward(in.at), in.geometry_code, spherical_harmonics(direction)}, 1);
    return torch::sigmoid(mlp_->forward(x, in.pose_code));
}

std::shared_ptr<torch::nn::Module> AppearanceFieldImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, options_, volume_->box(), geometry_code_width_, pose_code_width_);
}

}  // namespace fmgs
