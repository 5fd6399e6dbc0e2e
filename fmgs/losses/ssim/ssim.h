#pragma once
/// fmgs::ssim and its parts as their backends see them. All take pictures x, y [C,H,W] of one
/// floating type; the window and the constants stand in ssim_window.h.
#include <torch/types.h>

#include <tuple>

namespace fmgs::detail {

using torch::Tensor;

using SsimSignature = Tensor(const Tensor& x, const Tensor& y);
using SsimSlopesSignature = std::tuple<Tensor, Tensor>(const Tensor& x, const Tensor& y);
using SsimBackwardSignature = Tensor(const Tensor& grad, const Tensor& x, const Tensor& y,
                                     const Tensor& slopes);

/// What a backend of SSIM is made of.
struct SsimBackend {
    /// Σ (1 − S) over all pixels and channels, [].
    Tensor (*sum)(const Tensor& x, const Tensor& y);
    /// The same, and the slopes of S by the window's means, [3,C,H,W] (ssim_kernels.h); they may be
    /// zero where both pictures are black as far as the window reaches.
    std::tuple<Tensor, Tensor> (*slopes)(const Tensor& x, const Tensor& y);
    /// The gradient to x [C,H,W] of the sum, whose own is grad [].
    Tensor (*gradient)(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& slopes);
};

/// Error on wrong shapes, dtypes or devices.
void check_pictures(const Tensor& x, const Tensor& y);
void check_slopes(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& slopes);

/// The kernels of fmgs::ssim and its parts by a backend, to be registered: they check before they
/// call it.
template <const SsimBackend& kBackend>
struct SsimKernels {
    static Tensor sum(const Tensor& x, const Tensor& y) {
        check_pictures(x, y);
        return kBackend.sum(x, y);
    }
    static std::tuple<Tensor, Tensor> slopes(const Tensor& x, const Tensor& y) {
        check_pictures(x, y);
        return kBackend.slopes(x, y);
    }
    static Tensor gradient(const Tensor& grad, const Tensor& x, const Tensor& y,
                           const Tensor& slopes) {
        check_slopes(grad, x, y, slopes);
        return kBackend.gradient(grad, x, y, slopes);
    }
};

/// Σ (1 − S) by the operator, with gradients to both pictures. A second derivative raises.
Tensor dissimilarity_sum(const Tensor& x, const Tensor& y);

}  // namespace fmgs::detail
