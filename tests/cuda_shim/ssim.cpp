// The sources of the fused SSIM as one C++ file. The names of its entry points are changed, for
// programs that link the real ones too.
#define ssim_cuda shim_ssim_cuda
#define ssim_slopes_cuda shim_ssim_slopes_cuda
#define ssim_backward_cuda shim_ssim_backward_cuda
// clang-format off
#include <fmgs/losses/ssim/ssim_kernels.cu>
#include <fmgs/losses/ssim/ssim_cuda.cpp>  // NOLINT(bugprone-suspicious-include)
// clang-format on
#include <fmgs/losses/ssim/ssim_autograd.h>

#include "cuda_shim/ssim.h"

namespace fmgs::test {
namespace {

using torch::Tensor;

template <class T>
Tensor sum(const Tensor& x, const Tensor& y) {
    return std::get<0>(detail::sum_on_device<T>(x, y, false));
}
template <class T>
std::tuple<Tensor, Tensor> slopes(const Tensor& x, const Tensor& y) {
    return detail::sum_on_device<T>(x, y, true);
}

template <class T>
constexpr detail::SsimBackend kKernels{sum<T>, slopes<T>, detail::gradient_on_device<T>};

/// The kernels under the product's own checks.
template <class T>
constexpr detail::SsimBackend kChecked{detail::SsimKernels<kKernels<T>>::sum,
                                       detail::SsimKernels<kKernels<T>>::slopes,
                                       detail::SsimKernels<kKernels<T>>::gradient};

}  // namespace

Tensor shim_dissimilarity(const Tensor& x, const Tensor& y) {
    return x.scalar_type() == torch::kFloat
               ? detail::differentiable_dissimilarity<kChecked<float>>(x, y)
               : detail::differentiable_dissimilarity<kChecked<double>>(x, y);
}

Tensor shim_dissimilarity_entry(const Tensor& x, const Tensor& y) {
    return detail::shim_ssim_cuda(x, y);
}

}  // namespace fmgs::test
