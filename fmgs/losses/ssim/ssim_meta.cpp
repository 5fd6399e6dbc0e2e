/// The shapes of what fmgs::ssim and its parts return.
#include <fmgs/losses/ssim/ssim.h>
#include <torch/library.h>

namespace fmgs::detail {
namespace {

Tensor sum_meta(const Tensor& x, const Tensor&) { return torch::empty({}, x.options()); }

std::tuple<Tensor, Tensor> slopes_meta(const Tensor& x, const Tensor& y) {
    return {sum_meta(x, y),
            at::empty_symint({3, x.sym_size(0), x.sym_size(1), x.sym_size(2)}, x.options())};
}

Tensor gradient_meta(const Tensor&, const Tensor& x, const Tensor&, const Tensor&) {
    return at::empty_symint(x.sym_sizes(), x.options());
}

}  // namespace
}  // namespace fmgs::detail

TORCH_LIBRARY_IMPL(fmgs, Meta, m) {
    using namespace fmgs::detail;
    m.impl("ssim", sum_meta);
    m.impl("_ssim_slopes", slopes_meta);
    m.impl("_ssim_backward", gradient_meta);
}
