/// SSIM on a CPU: matrix products of the box that is not black.
#include <fmgs/losses/ssim/ssim_matrices.h>
#include <fmgs/losses/ssim/ssim_window.h>
#include <torch/library.h>

#include <algorithm>

namespace fmgs::detail {
namespace {

/// A box of pixels.
struct Box {
    int64_t top = 0, bottom = 0, left = 0, right = 0;

    bool is_empty() const { return top == bottom; }
    /// Of x [...,H,W].
    Tensor crop(const Tensor& x) const {
        return x.narrow(-2, top, bottom - top).narrow(-1, left, right - left);
    }
};

/// First and last+1 index that may matter along a dimension: two radii around what is not black.
/// One radius holds every window that sees anything, the second every black pixel that such a
/// window sees (its gradient is not zero).
std::pair<int64_t, int64_t> extent(const Tensor& brightness) {
    const auto at = brightness.nonzero();
    if (at.size(0) == 0) return {0, 0};
    const int64_t first = at[0].item<int64_t>(), last = at[-1].item<int64_t>();
    return {std::max<int64_t>(0, first - 2 * kSsimRadius),
            std::min(brightness.size(0), last + 1 + 2 * kSsimRadius)};
}

/// Outside it both pictures are black, S is 1 and has no gradient.
Box box_of(const Tensor& x, const Tensor& y) {
    const auto brightness = (x.abs() + y.abs()).sum(0);  // a NaN stays one and is not zero
    Box box;
    std::tie(box.top, box.bottom) = extent(brightness.sum(1));
    std::tie(box.left, box.right) = extent(brightness.sum(0));
    return box;
}

Tensor sum_cpu(const Tensor& x, const Tensor& y) {
    const auto box = box_of(x, y);
    if (box.is_empty()) return torch::zeros({}, x.options());
    return sum_by_matrices(box.crop(x), box.crop(y));
}

std::tuple<Tensor, Tensor> slopes_cpu(const Tensor& x, const Tensor& y) {
    const auto box = box_of(x, y);
    const auto slopes = torch::zeros({3, x.size(0), x.size(1), x.size(2)}, x.options());
    if (box.is_empty()) return {torch::zeros({}, x.options()), slopes};
    const auto [sum, inside] = slopes_by_matrices(box.crop(x), box.crop(y));
    box.crop(slopes).copy_(inside);
    return {sum, slopes};
}

Tensor gradient_cpu(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& slopes) {
    const auto box = box_of(x, y);
    auto out = torch::zeros(x.sizes(), x.options());
    if (!box.is_empty())
        box.crop(out).copy_(gradient_by_matrices(grad, box.crop(x), box.crop(y), box.crop(slopes)));
    return out;
}

constexpr SsimBackend kCpu{sum_cpu, slopes_cpu, gradient_cpu};

}  // namespace
}  // namespace fmgs::detail

TORCH_LIBRARY_IMPL(fmgs, CPU, m) {
    using Kernels = fmgs::detail::SsimKernels<fmgs::detail::kCpu>;
    m.impl("ssim", Kernels::sum);
    m.impl("_ssim_slopes", Kernels::slopes);
    m.impl("_ssim_backward", Kernels::gradient);
}
