#pragma once
/// Distances of two pictures, with the switches in which published evaluators differ.
#include <torch/types.h>

namespace fmgs {

// Pictures are [3,H,W] and clamped to [0,1] first; `image` is the rendered one.

/// -10 log10(mean (a-b)²) over all pixels and channels. 100 dB when equal.
double psnr(const torch::Tensor& image, const torch::Tensor& truth);
/// The same over the pixels of mask [1,H,W] > 0.5 only. NaN when the mask is empty.
double psnr(const torch::Tensor& image, const torch::Tensor& truth, const torch::Tensor& mask);
/// The mean of each channel's own PSNR, which is at least the joint one.
double channel_psnr(const torch::Tensor& image, const torch::Tensor& truth);
/// Mean |a-b| over all pixels and channels.
double mean_absolute_error(const torch::Tensor& image, const torch::Tensor& truth);

/// What SSIM leaves open.
struct SsimOptions {
    enum class Window { gaussian, uniform };  ///< 11 × 11 with σ 1.5; 7 × 7
    /// zero: black around the picture, all pixels count. inside: windows that lie in the picture
    /// alone; so are a reflected border that is cropped again, and a border that is left out.
    enum class Border { zero, inside };

    Window window = Window::gaussian;
    Border border = Border::zero;
    /// variances and covariance times n/(n-1), n = pixels of the window
    bool sample_covariance = false;
    double data_range = 1;  ///< L in (0.01 L)² and (0.03 L)²
};

/// SSIM (Wang et al. 2004) per channel, mean over pixels and channels:
///   (2 μx μy + C1)(2 σxy + C2) / ((μx² + μy² + C1)(σx² + σy² + C2)).
/// The defaults are those of the loss (losses/photometric.h). Error: a picture smaller than a
/// window that has to lie inside.
double mean_ssim(const torch::Tensor& image, const torch::Tensor& truth,
                 const SsimOptions& options = {});

}  // namespace fmgs
