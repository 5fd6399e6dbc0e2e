#include <fmgs/eval/pictures.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace fmgs {
namespace {

double decibel(double mse) { return mse <= 1e-10 ? 100 : -10 * std::log10(mse); }

/// A picture as it is compared: [3,H,W] double in [0,1] on the CPU.
torch::Tensor compared(const torch::Tensor& picture) {
    return picture.to(torch::kCPU, torch::kFloat64).clamp(0, 1);
}

void check_pair(const torch::Tensor& image, const torch::Tensor& truth) {
    check_shape(truth, {3, -1, -1}, "color");
    check_shape(image, {3, truth.size(1), truth.size(2)}, "color");
}

torch::Tensor square_error(const torch::Tensor& image, const torch::Tensor& truth) {
    check_pair(image, truth);
    return (compared(image) - compared(truth)).square();
}

/// The window along one axis; it is the same along the other.
std::vector<double> weights_of(SsimOptions::Window window) {
    if (window == SsimOptions::Window::uniform) return std::vector<double>(7, 1.0 / 7);
    std::vector<double> weights;
    double sum = 0;
    for (int i = -5; i <= 5; ++i) {
        weights.push_back(std::exp(-i * i / (2 * 1.5 * 1.5)));
        sum += weights.back();
    }
    for (auto& weight : weights) weight /= sum;
    return weights;
}

/// Weighted means along `dim` over windows that lie inside.
torch::Tensor smoothed(const torch::Tensor& x, const std::vector<double>& weights, int64_t dim) {
    const auto size = x.size(dim) - static_cast<int64_t>(weights.size()) + 1;
    auto out = x.narrow(dim, 0, size) * weights[0];
    for (size_t k = 1; k < weights.size(); ++k)
        out.add_(x.narrow(dim, static_cast<int64_t>(k), size), weights[k]);
    return out;
}

}  // namespace

double psnr(const torch::Tensor& image, const torch::Tensor& truth) {
    return decibel(square_error(image, truth).mean().item<double>());
}

double psnr(const torch::Tensor& image, const torch::Tensor& truth, const torch::Tensor& mask) {
    check_shape(mask, {1, -1, -1}, "mask");
    const auto inside = (mask.cpu() > 0.5).expand({3, -1, -1});
    const auto errors = square_error(image, truth).masked_select(inside);
    return errors.numel() == 0 ? std::numeric_limits<double>::quiet_NaN()
                               : decibel(errors.mean().item<double>());
}

double channel_psnr(const torch::Tensor& image, const torch::Tensor& truth) {
    const auto errors = square_error(image, truth).mean({1, 2});
    double sum = 0;
    for (int64_t c = 0; c < 3; ++c) sum += decibel(errors[c].item<double>());
    return sum / 3;
}

double mean_absolute_error(const torch::Tensor& image, const torch::Tensor& truth) {
    check_pair(image, truth);
    return (compared(image) - compared(truth)).abs().mean().item<double>();
}

double mean_ssim(const torch::Tensor& image, const torch::Tensor& truth,
                 const SsimOptions& options) {
    check_pair(image, truth);
    const auto weights = weights_of(options.window);
    const auto width = static_cast<int64_t>(weights.size());
    const bool zero = options.border == SsimOptions::Border::zero;
    if (!zero && std::min(truth.size(1), truth.size(2)) < width)
        throw Error(fmt::format("SSIM: expected pictures of at least {0}x{0} pixels, got {1}x{2}",
                                width, truth.size(2), truth.size(1)));
    const int64_t pad = zero ? width / 2 : 0;
    const auto x = torch::constant_pad_nd(compared(image), {pad, pad, pad, pad}),
               y = torch::constant_pad_nd(compared(truth), {pad, pad, pad, pad});
    const auto means = smoothed(smoothed(torch::stack({x, y, x * x, y * y, x * y}), weights, 2),
                                weights, 3);  // [5,3,H',W']
    const auto mx = means[0], my = means[1];
    const auto count = static_cast<double>(width * width);
    const double factor = options.sample_covariance ? count / (count - 1) : 1;
    const auto xx = factor * (means[2] - mx * mx), yy = factor * (means[3] - my * my),
               xy = factor * (means[4] - mx * my);
    const double c1 = std::pow(0.01 * options.data_range, 2),
                 c2 = std::pow(0.03 * options.data_range, 2);
    return ((2 * mx * my + c1) * (2 * xy + c2) / ((mx * mx + my * my + c1) * (xx + yy + c2)))
        .mean()
        .item<double>();
}

}  // namespace fmgs
