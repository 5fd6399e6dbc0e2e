#pragma once
/// The autograd function of SSIM, over any backend.
#include <fmgs/core/operators.h>
#include <fmgs/losses/ssim/ssim.h>
#include <torch/csrc/autograd/custom_function.h>

namespace fmgs::detail {

template <const SsimBackend& kBackend>
struct SsimFunction : torch::autograd::Function<SsimFunction<kBackend>> {
    using Context = torch::autograd::AutogradContext;
    using Variables = torch::autograd::variable_list;

    static Tensor forward(Context* ctx, const Tensor& x, const Tensor& y, bool needs_slopes) {
        at::AutoDispatchBelowADInplaceOrView below;
        Tensor sum, slopes;
        if (needs_slopes) {
            std::tie(sum, slopes) = kBackend.slopes(x, y);
        } else {
            sum = kBackend.sum(x, y);
        }
        ctx->save_for_backward({x, y, slopes});
        return sum;
    }
    static Variables backward(Context* ctx, const Variables& grads) {
        const auto saved = ctx->get_saved_variables();
        const auto &x = saved[0], &y = saved[1];
        Variables out(3);
        if (ctx->needs_input_grad(0)) out[0] = gradient(grads[0], x, y, saved[2]);
        // Hardly anybody asks for a gradient of the target: its slopes are found again, by the
        // symmetry of SSIM, instead of always kept.
        if (ctx->needs_input_grad(1)) {
            Tensor slopes;
            {
                at::AutoDispatchBelowADInplaceOrView below;
                slopes = std::get<1>(kBackend.slopes(y, x));
            }
            out[1] = gradient(grads[0], y, x, slopes);
        }
        return out;
    }
    static Tensor gradient(const Tensor& grad, const Tensor& x, const Tensor& y,
                           const Tensor& slopes) {
        Tensor out;
        {
            at::AutoDispatchBelowADInplaceOrView below;
            out = kBackend.gradient(grad, x, y, slopes);
        }
        return once_differentiable("ssim", {grad, x, y}, {out})[0];
    }
};

/// Σ (1 − S) with gradients to both pictures.
template <const SsimBackend& kBackend>
Tensor differentiable_dissimilarity(const Tensor& x, const Tensor& y) {
    const bool needs_slopes = torch::GradMode::is_enabled() && x.requires_grad();
    return SsimFunction<kBackend>::apply(x, y, needs_slopes);
}

}  // namespace fmgs::detail
