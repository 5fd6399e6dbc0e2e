
#include <fmgs/losses/photometric.h>

#include <fmgs/core/check.h>
#include <fmgs/losses/pixels.h>
#include <fmgs/losses/ssim/ssim_cuda.h>
#include <fmgs/losses/ssim/ssim_window.h>

namespace fmgs {
namespace {

constexpr int64_t kRadius = detail::kSsimRadius;
constexpr double kSigma = detail::kSsimSigma, kC1 = detail::kSsimC1, kC2 = detail::kSsimC2;

// The 1-D window as a symmetric banded matrix [n,n]: blurring is then two matrix products, several
// times faster on a CPU than a convolution of few channels. Any leading block of it is the matrix
// of a smaller picture.
torch::Tensor gaussian_band(int64_t n, const torch::TensorOptions& options) {
    const double sum = detail::ssim_window_sum();
    const auto i = torch::arange(n, options.dtype(torch::kDouble));
    const auto distance = (i.unsqueeze(0) - i.unsqueeze(1)).abs();
    const auto weight = torch::exp(distance.square() * (-0.5 / (kSigma * kSigma))) / sum;
    return weight.masked_fill(distance > double(kRadius), 0).to(options.dtype());
}

void fit_band(torch::Tensor& band, const torch::Tensor& x) {
    const int64_t n = std::max(x.size(1), x.size(2));
    const bool fits = band.defined() && band.size(0) >= n && band.dtype() == x.dtype() &&
                      band.device() == x.device();
    if (!fits) band = gaussian_band(n, x.options().requires_grad(false));
}

torch::Tensor blur(const torch::Tensor& x, const torch::Tensor& band) {
    const auto rows = band.narrow(0, 0, x.size(1)).narrow(1, 0, x.size(1));
    const auto columns = band.narrow(0, 0, x.size(2)).narrow(1, 0, x.size(2));
    return torch::matmul(torch::matmul(rows, x), columns);
}

// Σ (1 - SSIM) over all pixels and channels.
torch::Tensor dissimilarity_sum(const torch::Tensor& x, const torch::Tensor& y,
                                const torch::Tensor& band) {
    const auto of_y = blur(torch::cat({y, y * y}), band).chunk(2);
    const auto of_x = blur(torch::cat({x, x * x, x * y}), band).chunk(3);
    const auto mean_square = of_x[0].square() + of_y[0].square();
    const auto mean_product = of_x[0] * of_y[0];
    const auto variance = of_x[1] + of_y[1] - mean_square;
    const auto covariance = of_x[2] - mean_product;
    const auto similarity = ((2 * mean_product + kC1) * (2 * covariance + kC2)) /
                            ((mean_square + kC1) * (variance + kC2));
    return (1 - similarity).sum();
}

// First and last+1 index that may matter along a dimension: two radii around what is not black. One
// radius holds every window that sees anything, the second every black pixel that such a window
// sees (its gradient is not zero).
std::pair<int64_t, int64_t> extent(const torch::Tensor& occupied) {
    const auto at = occupied.nonzero();
    if (at.size(0) == 0) return {0, 0};
    const int64_t first = at[0].item<int64_t>(), last = at[-1].item<int64_t>();
    return {std::max<int64_t>(0, first - 2 * kRadius),
            std::min(occupied.size(0), last + 1 + 2 * kRadius)};
}

// band: a cache, made to fit where it is used.
torch::Tensor dissimilarity(const torch::Tensor& x, const torch::Tensor& y, torch::Tensor& band) {
    const double count = double(x.numel());
#if defined(FMGS_CUDA)
    if (x.is_cuda() && x.scalar_type() == torch::kFloat)
        return detail::dissimilarity_sum_cuda(x, y) / count;
#endif
    fit_band(band, x);
    if (!x.is_cpu())
        return dissimilarity_sum(x, y, band) /
               count;  // reading the box back would stall the device
    const auto occupied = (x != 0).logical_or(y != 0).any(0);
    const auto [top, bottom] = extent(occupied.any(1));
    const auto [left, right] = extent(occupied.any(0));
    if (top == bottom) return connected_zero(x);
    const auto crop = [&, t = top, b = bottom, l = left, r = right](const torch::Tensor& image) {
        return image.narrow(1, t, b - t).narrow(2, l, r - l);
    };
    return dissimilarity_sum(crop(x), crop(y), band) / count;
}

}  // namespace

torch::Tensor ssim(const torch::Tensor& x, const torch::Tensor& y) {
    check_shape(x, {-1, -1, -1}, "ssim: first picture");
    check_shape(y, {x.size(0), x.size(1), x.size(2)}, "ssim: second picture");
    torch::Tensor band;
    return 1 - dissimilarity(x, y, band);
}

torch::Tensor PhotometricLoss::forward(const LossInput& input) {
    const auto& color = input.rendered.at("color");
    const int64_t height = color.size(1), width = color.size(2);
    const auto image = target(input, "color", {3, height, width}, color);
    const auto l1 = (color - image).abs().mean();
    if (options_.ssim == 0) return l1;
    return (1 - options_.ssim) * l1 + options_.ssim * dissimilarity(color, image, band_);  // (13)
}

}  // namespace fmgs
