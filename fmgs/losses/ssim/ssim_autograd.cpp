#include <fmgs/losses/ssim/ssim_autograd.h>

#include <torch/library.h>

namespace fmgs::detail {
namespace {

Tensor sum_by_operator(const Tensor& x, const Tensor& y) {
    static const auto op = find_operator<SsimSignature>("fmgs::ssim");
    return op.call(x, y);
}

std::tuple<Tensor, Tensor> slopes_by_operator(const Tensor& x, const Tensor& y) {
    static const auto op = find_operator<SsimSlopesSignature>("fmgs::_ssim_slopes");
    return op.call(x, y);
}

Tensor gradient_by_operator(const Tensor& grad, const Tensor& x, const Tensor& y,
                            const Tensor& slopes) {
    static const auto op = find_operator<SsimBackwardSignature>("fmgs::_ssim_backward");
    return op.call(grad, x, y, slopes);
}

/// The backend of whatever device the pictures are on.
constexpr SsimBackend kOperators{sum_by_operator, slopes_by_operator, gradient_by_operator};

/// A part of fmgs::ssim, which is what can be differentiated.
std::tuple<Tensor, Tensor> slopes_autograd(const Tensor& x, const Tensor& y) {
    at::AutoDispatchBelowADInplaceOrView below;
    return slopes_by_operator(x, y);
}

}  // namespace
}  // namespace fmgs::detail

TORCH_LIBRARY_IMPL(fmgs, Autograd, m) {
    using namespace fmgs::detail;
    m.impl("ssim", differentiable_dissimilarity<kOperators>);
    m.impl("_ssim_slopes", slopes_autograd);
    m.impl("_ssim_backward", SsimFunction<kOperators>::gradient);
}
