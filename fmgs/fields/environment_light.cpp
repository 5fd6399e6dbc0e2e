#include <fmgs/fields/environment_light.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <map>
#include <mutex>
#include <numbers>

namespace fmgs {
namespace {

constexpr double kPi = std::numbers::pi;

/// Cosines of the H+1 borders of rows, 1 to -1: [H+1].
torch::Tensor border_cosines(int64_t rows) {
    return torch::linspace(0, kPi, rows + 1, torch::kDouble).cos();
}

/// How much intervals [a_i, a_i+1] and [b_j, b_j+1] of two rising rows of borders share: [A,B].
torch::Tensor overlaps(const torch::Tensor& a, const torch::Tensor& b) {
    const auto low = torch::maximum(a.slice(0, 0, -1).unsqueeze(1), b.slice(0, 0, -1).unsqueeze(0)),
               high = torch::minimum(a.slice(0, 1).unsqueeze(1), b.slice(0, 1).unsqueeze(0));
    return (high - low).clamp_min(0);
}

/// What is the same for all lights of a size.
struct Sphere {
    Constant filters;  // [L,M,M] whose rows sum to 1
    Constant shares;   // [M] of the texels: they sum to 1
};

const Sphere& sphere_of(int64_t rows) {
    static std::mutex mutex;
    static std::map<int64_t, Sphere> kept;
    const std::lock_guard lock(mutex);
    auto found = kept.find(rows);
    if (found == kept.end()) {
        const auto filters = light_filters(rows);
        found = kept.emplace(rows, Sphere{Constant(filters / filters.sum(2, true)),
                                          Constant(texel_solid_angles(rows) / (4 * kPi))})
                    .first;
    }
    return found->second;
}

void check_picture(const torch::Tensor& picture) {
    check_shape(picture, {-1, -1, 3}, "picture of a light");
    if (picture.size(0) < 2 || picture.size(1) < 2)
        throw Error(fmt::format("picture of a light: expected 2x2 pixels or more, got {}x{}",
                                picture.size(1), picture.size(0)));
}

/// Maps [3L,H,W] with a border of one texel: around the seam, and over a pole to the other side.
torch::Tensor continued(const torch::Tensor& maps) {
    const int64_t H = maps.size(1), W = maps.size(2);
    const auto beyond = [&](int64_t row) { return maps.narrow(1, row, 1).roll(W / 2, 2); };
    const auto tall = torch::cat({beyond(0), maps, beyond(H - 1)}, 1);
    return torch::cat({tall.narrow(2, W - 1, 1), tall, tall.narrow(2, 0, 1)}, 2);
}

}  // namespace

torch::Tensor texel_directions(int64_t rows) {
    const auto theta = (torch::arange(rows, torch::kDouble) + 0.5) * (kPi / double(rows));
    const auto turn = (torch::arange(2 * rows, torch::kDouble) + 0.5) * (kPi / double(rows)) - kPi;
    const auto sine = theta.sin().unsqueeze(1), cosine = theta.cos().unsqueeze(1);
    return torch::stack({sine * turn.sin(), cosine.expand({-1, 2 * rows}), -sine * turn.cos()}, 2)
        .view({-1, 3});
}

torch::Tensor texel_solid_angles(int64_t rows) {
    return (kPi / double(rows) * -border_cosines(rows).diff()).repeat_interleave(2 * rows);
}

torch::Tensor light_filters(int64_t rows) {
    const auto direction = texel_directions(rows);
    const auto cosine = torch::matmul(direction, direction.t()).clamp(-1, 1);
    const auto weight = cosine.clamp_min(0) * texel_solid_angles(rows);
    std::vector<torch::Tensor> levels;
    for (const double roughness : kLightLevels) {
        const double a2 = std::pow(roughness, 4);           // α = o²
        const auto n_h2 = 0.5 * (1 + cosine);               // (n·h)², n = r
        const auto below = (n_h2 * (a2 - 1) + 1).square();  // D = α² / π((n·h)²(α²-1) + 1)²
        levels.push_back(weight * (a2 / kPi) / below);
    }
    return torch::stack(levels);
}

torch::Tensor resampled_light(const torch::Tensor& picture, int64_t rows) {
    check_picture(picture);
    const int64_t h = picture.size(0), w = picture.size(1), columns = 2 * rows;
    // In cos θ and in the turn, areas are products of lengths.
    const auto down = overlaps(-border_cosines(rows), -border_cosines(h));
    const auto across = overlaps(torch::linspace(0, 1, columns + 1, torch::kDouble),
                                 torch::linspace(0, 1, w + 1, torch::kDouble));
    const auto share = [](const torch::Tensor& x) { return x / x.sum(1, true); };
    const auto lines = torch::matmul(share(down).to(picture.options()), picture.flatten(1))
                           .view({rows, w, 3})
                           .to(torch::kDouble);
    return torch::einsum("cw,rwk->rck", {share(across).to(lines.options()), lines})
        .to(picture.options())
        .contiguous();
}

FilteredLight::FilteredLight(const torch::Tensor& radiance, const torch::Tensor& axes)
    : axes_(axes) {
    const int64_t rows = radiance.dim() == 3 ? radiance.size(0) : -1;
    check_shape(radiance, {rows, 2 * rows, 3}, "radiance of a light");
    check_shape(axes, {3, 3}, "axes of a light");
    const auto filtered = torch::matmul(sphere_of(rows).filters.like(radiance),
                                        radiance.reshape({-1, 3}));  // [L,M,3]
    maps_ = continued(filtered.transpose(1, 2).reshape({-1, rows, 2 * rows})).unsqueeze(0);
}

torch::Tensor FilteredLight::look_up(const torch::Tensor& maps,
                                     const torch::Tensor& direction) const {
    check_shape(direction, {-1, 3}, "direction to look up a light");
    const int64_t H = maps.size(2) - 2, W = maps.size(3) - 2;
    const auto d = torch::matmul(direction, axes_.t()).unbind(1);
    // Straight up and down every column is right; the slope there has to be finite.
    const auto side = (d[0].square() + d[2].square() + 1e-12).sqrt();
    const auto back = torch::where(d[0].abs() + d[2].abs() < 1e-6, 1e-6, d[2]);
    const auto u = torch::atan2(d[0], -back) / (2 * kPi) + 0.5, v = torch::atan2(side, d[1]) / kPi;
    const auto place = [](const torch::Tensor& share, int64_t count) {  // of [-1,1] with the border
        return (2 * (share * double(count) + 1)) / double(count + 2) - 1;
    };
    const auto grid = torch::stack({place(u, W), place(v, H)}, 1).view({1, 1, -1, 2});
    return at::grid_sampler_2d(maps, grid, /*bilinear*/ 0, /*border*/ 1, /*align_corners=*/false)
        .view({maps.size(1), -1})
        .t();
}

torch::Tensor FilteredLight::diffuse(const torch::Tensor& normal) const {
    return look_up(maps_.narrow(1, maps_.size(1) - 3, 3), normal);
}

torch::Tensor FilteredLight::specular(const torch::Tensor& direction,
                                      const torch::Tensor& roughness) const {
    check_shape(roughness, {direction.size(0), 1}, "roughness");
    const auto levels = look_up(maps_, direction).view({direction.size(0), -1, 3});
    const auto o = roughness.clamp(kLightLevels.front(), kLightLevels.back());
    std::vector<torch::Tensor> shares;  // of each level: a hat between its neighbours
    for (size_t k = 0; k < kLightLevels.size(); ++k) {
        const double at = kLightLevels[k];
        auto away = torch::zeros_like(o);
        if (k > 0) away = away + (at - o).clamp_min(0) / (at - kLightLevels[k - 1]);
        if (k + 1 < kLightLevels.size())
            away = away + (o - at).clamp_min(0) / (kLightLevels[k + 1] - at);
        shares.push_back((1 - away).clamp_min(0));
    }
    return (torch::stack(shares, 1) * levels).sum(1);
}

EnvironmentLightImpl::EnvironmentLightImpl(int64_t rows) {
    if (rows < 2) throw Error(fmt::format("light: rows: expected 2 or more, got {}", rows));
    log_radiance_ = register_parameter("log_radiance", torch::zeros({rows, 2 * rows, 3}));
    level_ = register_buffer("level", torch::ones({3}));
    axes_ = register_buffer("axes", torch::eye(3));
}

torch::Tensor EnvironmentLightImpl::radiance() const {
    const auto free = log_radiance_.exp();
    const auto shares = sphere_of(free.size(0)).shares.like(free);
    return level_ * free / torch::matmul(shares, free.view({-1, 3}));
}

FilteredLight EnvironmentLightImpl::filtered(bool open) const {
    return {open ? radiance() : radiance().detach(), axes_};  // a closed column moves no light
}

void EnvironmentLightImpl::set(const torch::Tensor& picture, const torch::Tensor& axes) {
    const torch::NoGradGuard guard;  // a light that is given
    check_picture(picture);
    check_shape(axes, {3, 3}, "axes of a light");
    if (!picture.isfinite().all().item<bool>() || (picture < 0).any().item<bool>())
        throw Error("picture of a light: expected radiance that is finite and at least 0");
    const int64_t rows = log_radiance_.size(0);
    const auto fitted = resampled_light(picture, rows).to(torch::kDouble);
    const auto mean = torch::matmul(sphere_of(rows).shares.like(fitted), fitted.view({-1, 3}));
    if ((mean <= 0).any().item<bool>())
        throw Error("picture of a light: expected light in every channel, got one without any");
    log_radiance_.copy_(torch::maximum(fitted, 1e-9 * mean).log());
    level_.copy_(mean);
    axes_.copy_(axes);
}

void EnvironmentLightImpl::turn(const torch::Tensor& rotation) {
    const torch::NoGradGuard guard;  // a light that is given
    check_shape(rotation, {3, 3}, "rotation of a light");
    // What is seen at R·d now was at d.
    axes_.copy_(torch::matmul(axes_, rotation.to(axes_.options()).t()));
}

std::shared_ptr<torch::nn::Module> EnvironmentLightImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, log_radiance_.size(0));
}

}  // namespace fmgs
