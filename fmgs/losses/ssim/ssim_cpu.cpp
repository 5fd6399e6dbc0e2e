/// SSIM on a CPU: matrix products of the box that is not black.
#include <fmgs/core/box.h>
#include <fmgs/losses/ssim/ssim_matrices.h>
#include <fmgs/losses/ssim/ssim_window.h>
#include <torch/library.h>

namespace fmgs::detail {
namespace {

/// Outside it both pictures are black, S is 1 and has no gradient: two radii around what is not
/// black. One radius holds every window that sees anything, the second every black pixel that such
/// a window sees (its gradient is not zero).
Box box_of(const Tensor& x, const Tensor& y) {
    return box_around((x.abs() + y.abs()).sum(0), 2 * kSsimRadius);  // a NaN is not zero
}

Tensor sum_cpu(const Tensor& x, const Tensor& y) {
    const auto box = box_of(x, y);
    if (box.is_empty()) return torch::zeros({}, x.options());
    return sum_by_matrices(box.view(x), box.view(y));
}

std::tuple<Tensor, Tensor> slopes_cpu(const Tensor& x, const Tensor& y) {
    const auto box = box_of(x, y);
    const auto slopes = torch::zeros({3, x.size(0), x.size(1), x.size(2)}, x.options());
    if (box.is_empty()) return {torch::zeros({}, x.options()), slopes};
    const auto [sum, inside] = slopes_by_matrices(box.view(x), box.view(y));
    box.view(slopes).copy_(inside);
    return {sum, slopes};
}

Tensor gradient_cpu(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& slopes) {
    const auto box = box_of(x, y);
    auto out = torch::zeros(x.sizes(), x.options());
    if (!box.is_empty())
        box.view(out).copy_(gradient_by_matrices(grad, box.view(x), box.view(y), box.view(slopes)));
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
