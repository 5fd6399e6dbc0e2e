/// SSIM on a GPU: fused in float, by matrix products in double, which metrics ask for.
#include <fmgs/losses/ssim/ssim_cuda.h>
#include <fmgs/losses/ssim/ssim_matrices.h>
#include <torch/library.h>

namespace fmgs::detail {
namespace {

bool is_fused(const Tensor& x) { return x.scalar_type() == torch::kFloat; }

Tensor sum(const Tensor& x, const Tensor& y) {
    return is_fused(x) ? ssim_cuda(x, y) : sum_by_matrices(x, y);
}
std::tuple<Tensor, Tensor> slopes(const Tensor& x, const Tensor& y) {
    return is_fused(x) ? ssim_slopes_cuda(x, y) : slopes_by_matrices(x, y);
}
Tensor gradient(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& slopes) {
    return is_fused(x) ? ssim_backward_cuda(grad, x, y, slopes)
                       : gradient_by_matrices(grad, x, y, slopes);
}

constexpr SsimBackend kCuda{sum, slopes, gradient};

}  // namespace
}  // namespace fmgs::detail

TORCH_LIBRARY_IMPL(fmgs, CUDA, m) {
    using Kernels = fmgs::detail::SsimKernels<fmgs::detail::kCuda>;
    m.impl("ssim", Kernels::sum);
    m.impl("_ssim_slopes", Kernels::slopes);
    m.impl("_ssim_backward", Kernels::gradient);
}
