/// Torch's side of the fused SSIM.

#include <fmgs/losses/ssim/ssim_cuda.h>

#include <fmgs/core/cuda/check.h>
#include <fmgs/losses/ssim/ssim_kernels.h>
#include <fmt/format.h>
#include <torch/autograd.h>

#include <limits>

namespace fmgs::detail {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

SsimShape shape_of(const Tensor& x) {
    constexpr int64_t kLargest = std::numeric_limits<int32_t>::max() / 2;
    if (x.numel() > kLargest)
        throw Error(
            fmt::format("ssim: pictures of {} are too large for a GPU", shape_text(x.sizes())));
    return {static_cast<int32_t>(x.size(0)), static_cast<int32_t>(x.size(1)),
            static_cast<int32_t>(x.size(2))};
}

template <class T, class Params>
void set_window(Params& p) {
    const auto window = ssim_window();
    for (size_t k = 0; k < window.size(); ++k) p.window[k] = static_cast<T>(window[k]);
}

/// The sum, and the slopes [3,C,H,W] if they are needed.
template <class T>
std::pair<Tensor, Tensor> sum_on_device(const Tensor& x, const Tensor& y, bool needs_slopes) {
    const c10::cuda::CUDAGuard guard(x.device());
    SsimParams<T> p{};
    p.shape = shape_of(x);
    set_window<T>(p);
    const auto sums = torch::empty({ssim_blocks(p.shape)}, x.options());
    Tensor slopes;
    if (needs_slopes) slopes = torch::empty({3, x.size(0), x.size(1), x.size(2)}, x.options());
    p.x = x.const_data_ptr<T>();
    p.y = y.const_data_ptr<T>();
    p.sums = sums.template mutable_data_ptr<T>();
    p.slopes = needs_slopes ? slopes.template mutable_data_ptr<T>() : nullptr;
    check_cuda(launch_ssim(p, stream_of(x)), "ssim");
    return {sums.sum(), slopes};
}

template <class T>
Tensor gradient_on_device(const Tensor& grad, const Tensor& x, const Tensor& y,
                          const Tensor& slopes) {
    const c10::cuda::CUDAGuard guard(x.device());
    const auto g = grad.contiguous();
    auto out = torch::empty_like(x);
    SsimBackwardParams<T> p{};
    p.shape = shape_of(x);
    set_window<T>(p);
    p.x = x.const_data_ptr<T>();
    p.y = y.const_data_ptr<T>();
    p.slopes = slopes.const_data_ptr<T>();
    p.grad = g.template const_data_ptr<T>();
    p.grad_x = out.template mutable_data_ptr<T>();
    check_cuda(launch_ssim_backward(p, stream_of(x)), "ssim: backward");
    return out;
}

/// The backward pass as a node of its own, so that differentiating through it is an error and not
/// silently zero.
template <class T>
struct DissimilarityBackward : torch::autograd::Function<DissimilarityBackward<T>> {
    static Tensor forward(AutogradContext*, const Tensor& grad, const Tensor& x, const Tensor& y,
                          const Tensor& slopes) {
        return gradient_on_device<T>(grad, x, y, slopes);
    }
    static variable_list backward(AutogradContext*, const variable_list&) {
        throw Error(
            "ssim: on a GPU it has no second derivative; do not differentiate its gradient "
            "(create_graph)");
    }
};

template <class T>
struct Dissimilarity : torch::autograd::Function<Dissimilarity<T>> {
    static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& y,
                          bool needs_slopes) {
        const auto first = x.contiguous(), second = y.contiguous();
        auto [sum, slopes] = sum_on_device<T>(first, second, needs_slopes);
        ctx->save_for_backward({first, second, slopes});
        return sum;
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
        const auto saved = ctx->get_saved_variables();
        variable_list out(3);
        if (ctx->needs_input_grad(0))
            out[0] = DissimilarityBackward<T>::apply(grads[0], saved[0], saved[1], saved[2]);
        // Hardly anybody asks for a gradient of the target: its slopes are found again, by the
        // symmetry of SSIM, instead of always kept.
        if (ctx->needs_input_grad(1)) {
            const auto slopes = sum_on_device<T>(saved[1], saved[0], true).second;
            out[1] = DissimilarityBackward<T>::apply(grads[0], saved[1], saved[0], slopes);
        }
        return out;
    }
};

template <class T>
Tensor dissimilarity_sum(const Tensor& x, const Tensor& y) {
    check_shape(x, {-1, -1, -1}, "ssim: first picture");
    check_shape(y, {x.size(0), x.size(1), x.size(2)}, "ssim: second picture");
    if (y.scalar_type() != x.scalar_type() || y.device() != x.device())
        throw Error(
            fmt::format("ssim: second picture: expected {} on {} as the first, got {} on {}",
                        toString(x.scalar_type()), x.device().str(), toString(y.scalar_type()),
                        y.device().str()));
    return Dissimilarity<T>::apply(x, y, torch::GradMode::is_enabled() && x.requires_grad());
}

}  // namespace

Tensor dissimilarity_sum_cuda(const Tensor& x, const Tensor& y) {
    if (x.scalar_type() != torch::kFloat)
        throw Error(
            fmt::format("ssim: expected float on a GPU, got {}", toString(x.scalar_type())));
    return dissimilarity_sum<float>(x, y);
}

}  // namespace fmgs::detail
