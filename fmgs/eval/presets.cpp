#include <fmgs/eval/presets.h>

#include <fmgs/core/check.h>
#include <fmgs/core/names.h>
#include <fmt/format.h>
#include <torch/nn/functional/upsampling.h>

#include <algorithm>
#include <array>

namespace fmgs {
namespace {

using Psnr = Preset::Psnr;
using Region = Preset::Region;
using Background = Preset::Background;
using Values = Preset::Values;

constexpr LpipsUse kVgg{LpipsNetwork::vgg, true}, kRawVgg{LpipsNetwork::vgg, false},
    kAlex{LpipsNetwork::alex, true}, kRawAlex{LpipsNetwork::alex, false};
constexpr auto gaussian = SsimOptions::Window::gaussian, uniform = SsimOptions::Window::uniform;
constexpr auto zero = SsimOptions::Border::zero, inside = SsimOptions::Border::inside;

// clang-format off
const std::vector<Preset> kPresets = {
    //                                          SSIM: window, border, n/(n-1), range
    {"clean",                Psnr::joint,    {gaussian, zero,   false, 1}, {kVgg, kAlex}, Region::whole,    0,   Background::black, Values::float32},
    {"3dgs-avatar-zju",      Psnr::joint,    {uniform,  inside, true,  2}, {kVgg},        Region::whole,    0,   Background::black, Values::float32},
    {"humannerf",            Psnr::joint,    {uniform,  inside, true,  2}, {kVgg},        Region::whole,    0,   Background::black, Values::eight_bits},
    {"instantavatar-ps",     Psnr::joint,    {gaussian, inside, false, 1}, {kRawAlex},    Region::whole,    0,   Background::white, Values::eight_bits},
    {"gauhuman",             Psnr::channels, {gaussian, zero,   false, 1}, {kRawVgg},     Region::body_box, 0,   Background::black, Values::float32},
    {"animatable-gaussians", Psnr::joint,    {uniform,  inside, true,  1}, {kVgg},        Region::whole,    512, Background::white, Values::float32},
    {"relit",                Psnr::joint,    {gaussian, zero,   false, 1}, {kVgg, kAlex}, Region::whole,    0,   Background::black, Values::float32, true},
};
// clang-format on

/// The true box, its margin and the pictures in it: first row, first column, height, width.
std::array<int64_t, 4> person_box(const torch::Tensor& mask) {
    constexpr int64_t kMargin = 50;
    const auto set = mask[0] > 0;
    const auto range = [](const torch::Tensor& any) -> std::pair<int64_t, int64_t> {
        const auto at = any.nonzero();
        if (at.numel() == 0) return {0, any.size(0)};
        return {std::max<int64_t>(0, at[0].item<int64_t>() - kMargin),
                std::min(any.size(0), at[-1].item<int64_t>() + 1 + kMargin)};
    };
    const auto [top, bottom] = range(set.any(1));
    const auto [left, right] = range(set.any(0));
    return {top, left, bottom - top, right - left};
}

torch::Tensor crop_of(const torch::Tensor& picture, const std::array<int64_t, 4>& box,
                      int64_t side) {
    namespace F = torch::nn::functional;
    const auto [top, left, height, width] = box;
    const int64_t square = std::max(height, width);
    auto white = torch::ones({3, square, square}, picture.options());
    white.narrow(1, (square - height) / 2, height)
        .narrow(2, (square - width) / 2, width)
        .copy_(picture.narrow(1, top, height).narrow(2, left, width));
    return F::interpolate(white.unsqueeze(0), F::InterpolateFuncOptions()
                                                  .size(std::vector<int64_t>{side, side})
                                                  .mode(torch::kBilinear)
                                                  .align_corners(false))[0];
}

/// [3,1,1] Σ image·truth / Σ image² inside the mask: the least squared error of each channel.
torch::Tensor channel_factors(const torch::Tensor& image, const torch::Tensor& truth,
                              const torch::Tensor& mask) {
    const auto seen = image * mask;
    return (seen * truth).sum({1, 2}, true) / (seen * image).sum({1, 2}, true).clamp_min(1e-12);
}

/// On the preset's background and in its values, [3,H,W] float in [0,1].
torch::Tensor shown(const Preset& preset, const torch::Tensor& color, const torch::Tensor& cover) {
    auto out = color.to(torch::kCPU, torch::kFloat32);
    if (preset.background == Background::white)
        out = out + (1 - cover.to(torch::kCPU, torch::kFloat32).clamp(0, 1));
    out = out.clamp(0, 1);
    return preset.values == Values::eight_bits ? (out * 255).round() / 255 : out;
}

}  // namespace

const std::vector<Preset>& presets() { return kPresets; }

const Preset& preset(const std::string& name) {
    std::vector<std::string> known;
    for (const auto& each : kPresets) known.emplace_back(each.name);
    check_known("eval.presets", "preset", name, known);
    return *std::find_if(kPresets.begin(), kPresets.end(),
                         [&](const Preset& each) { return name == each.name; });
}

std::string describe(const Preset& p) {
    std::string lpips;
    for (const auto& use : p.lpips)
        lpips += fmt::format("{}{} on {}", lpips.empty() ? "" : " and ",
                             use.network == LpipsNetwork::vgg ? "VGG16" : "AlexNet",
                             use.scaled ? "[-1,1]" : "[0,1]");
    return fmt::format(
        "{}: PSNR {}; SSIM with {}, {}, range {}; LPIPS with {}{}; {} background{}{}{}", p.name,
        p.psnr == Psnr::joint ? "of all channels" : "as the mean of the channels",
        p.ssim.window == gaussian ? "a Gaussian 11 × 11 window" : "a uniform 7 × 7 window",
        p.ssim.border == zero ? "zeros outside" : "windows inside the picture", p.ssim.data_range,
        lpips,
        p.person_crop ? fmt::format(" in a crop of the person, {0} × {0}", p.person_crop) : "",
        p.background == Background::black ? "black" : "white",
        p.region == Region::whole ? "" : "; nothing drawn outside the body's box",
        p.values == Values::float32 ? "" : "; values rounded to 8 bits",
        p.channels_fitted ? "; each channel times the factor that fits it best" : "");
}

MetricValues measure(const Preset& p, const Compared& in, const LpipsNetworks& networks) {
    const torch::NoGradGuard guard;  // measuring only
    auto color = in.color, alpha = in.alpha;
    if (p.region == Region::body_box) {
        const auto keep = in.body_box.unsqueeze(0).to(color.device());
        color = color * keep;
        alpha = alpha * keep;
    }
    auto image = shown(p, color, alpha), truth = shown(p, in.true_color, in.mask);
    MetricValues out;
    if (p.channels_fitted) {
        const auto mask = in.mask.to(image.options());
        image = (image * channel_factors(image, truth, mask)).clamp(0, 1);
        out.emplace_back("psnr_person", psnr(image, truth, mask));
    }
    out.emplace_back("psnr",
                     p.psnr == Psnr::joint ? psnr(image, truth) : channel_psnr(image, truth));
    out.emplace_back("ssim", mean_ssim(image, truth, p.ssim));
    if (p.person_crop > 0) {
        const auto box = person_box(in.mask);
        image = crop_of(image, box, p.person_crop);
        truth = crop_of(truth, box, p.person_crop);
    }
    for (const auto& use : p.lpips) {
        const auto& network = networks.of(use.network);
        if (network.is_empty()) continue;
        const bool first = &use == &p.lpips.front();
        out.emplace_back(first ? "lpips" : "lpips_alex",
                         network->forward(image, truth, use.scaled).item<double>());
    }
    return out;
}

torch::Tensor projected_box(const Camera& camera, const torch::Tensor& points) {
    const torch::NoGradGuard guard;  // measuring only
    constexpr double kMargin = 0.05;
    const auto p = points.to(torch::kCPU, torch::kFloat64);
    const auto low = std::get<0>(p.min(0)) - kMargin, high = std::get<0>(p.max(0)) + kMargin;
    std::vector<torch::Tensor> corners;
    for (int k = 0; k < 8; ++k)
        corners.push_back(torch::where(
            torch::tensor({(k & 1) != 0, (k & 2) != 0, (k & 4) != 0}, torch::kBool), high, low));
    const auto view = camera.to(torch::kCPU).to(torch::kFloat64);
    const auto seen = view.to_camera(torch::stack(corners));
    const int64_t height = camera.height, width = camera.width;
    if ((seen.select(1, 2) <= 0).any().item<bool>())
        return torch::ones({height, width}, torch::kBool);
    const auto k = view.intrinsics;
    const auto uv = seen.narrow(1, 0, 2) / seen.narrow(1, 2, 1) * k.narrow(0, 0, 2) +
                    k.narrow(0, 2, 2);  // [8,2] pixels
    const auto x = (torch::arange(width, torch::kFloat64) + 0.5).view({1, -1}),
               y = (torch::arange(height, torch::kFloat64) + 0.5).view({-1, 1});
    auto where = torch::ones({height, width}, torch::kBool);
    // A line through two corners bounds the hull when all corners lie on one side of it.
    for (int64_t a = 0; a < 8; ++a) {
        for (int64_t b = 0; b < 8; ++b) {
            const auto along = uv[b] - uv[a];
            const double dx = along[0].item<double>(), dy = along[1].item<double>();
            const double x0 = uv[a][0].item<double>(), y0 = uv[a][1].item<double>();
            const auto side = dx * (uv.select(1, 1) - y0) - dy * (uv.select(1, 0) - x0);
            if (a == b || (side < -1e-9).any().item<bool>()) continue;
            where = where & (dx * (y - y0) - dy * (x - x0) >= 0);
        }
    }
    return where;
}

}  // namespace fmgs
