/// Torch's side of the fused SSIM.

#include <fmgs/losses/ssim/ssim_cuda.h>

#include <fmgs/core/cuda/check.h>
#include <fmgs/losses/ssim/ssim_kernels.h>
#include <fmt/format.h>

#include <limits>

namespace fmgs::detail {
namespace {

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
std::tuple<Tensor, Tensor> sum_on_device(const Tensor& first, const Tensor& second,
                                         bool needs_slopes) {
    const c10::cuda::CUDAGuard guard(first.device());
    const auto x = first.contiguous(), y = second.contiguous();
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
Tensor gradient_on_device(const Tensor& grad, const Tensor& first, const Tensor& second,
                          const Tensor& slopes) {
    const c10::cuda::CUDAGuard guard(first.device());
    const auto x = first.contiguous(), y = second.contiguous(), all = slopes.contiguous();
    auto out = torch::empty_like(x);
    SsimBackwardParams<T> p{};
    p.shape = shape_of(x);
    set_window<T>(p);
    p.x = x.const_data_ptr<T>();
    p.y = y.const_data_ptr<T>();
    p.slopes = all.const_data_ptr<T>();
    p.grad = grad.const_data_ptr<T>();
    p.grad_x = out.template mutable_data_ptr<T>();
    check_cuda(launch_ssim_backward(p, stream_of(x)), "ssim: backward");
    return out;
}

void check_float(const Tensor& x) {
    if (x.scalar_type() != torch::kFloat)
        throw Error(
            fmt::format("ssim: expected float on a GPU, got {}", toString(x.scalar_type())));
}

}  // namespace

Tensor ssim_cuda(const Tensor& x, const Tensor& y) {
    check_float(x);
    return std::get<0>(sum_on_device<float>(x, y, false));
}

std::tuple<Tensor, Tensor> ssim_slopes_cuda(const Tensor& x, const Tensor& y) {
    check_float(x);
    return sum_on_device<float>(x, y, true);
}

Tensor ssim_backward_cuda(const Tensor& grad, const Tensor& x, const Tensor& y,
                          const Tensor& slopes) {
    check_float(x);
    return gradient_on_device<float>(grad, x, y, slopes);
}

}  // namespace fmgs::detail
