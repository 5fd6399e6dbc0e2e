#include <fmgs/losses/photometric.h>

#include <fmgs/core/config/config.h>
#include <fmgs/losses/pixels.h>
#include <fmgs/losses/ssim/ssim.h>

namespace fmgs {
namespace {

// The mean of 1 - SSIM: of small values no digit is lost.
torch::Tensor dissimilarity(const torch::Tensor& x, const torch::Tensor& y) {
    return detail::dissimilarity_sum(x, y) / double(x.numel());
}

}  // namespace

torch::Tensor ssim(const torch::Tensor& x, const torch::Tensor& y) {
    return 1 - dissimilarity(x, y);
}

PhotometricLoss::PhotometricLoss(const PhotometricOptions& options) : options_(options) {
    check_ranges(options, "losses.photometric");
}

torch::Tensor PhotometricLoss::forward(const LossInput& input) {
    const auto& color = input.rendered.at("color");
    const int64_t height = color.size(1), width = color.size(2);
    const auto image = target(input, "color", {3, height, width}, color);
    const auto l1 = (color - image).abs().mean();
    if (options_.ssim == 0) return l1;
    return (1 - options_.ssim) * l1 + options_.ssim * dissimilarity(color, image);  // (13)
}

}  // namespace fmgs
