#pragma once
/// The fused SSIM of the CUDA backend, as torch sees it.
#include <fmgs/losses/ssim/ssim.h>

namespace fmgs::detail {

/// Checked pictures, float. The same bits in every run.
Tensor ssim_cuda(const Tensor& x, const Tensor& y);
std::tuple<Tensor, Tensor> ssim_slopes_cuda(const Tensor& x, const Tensor& y);
Tensor ssim_backward_cuda(const Tensor& grad, const Tensor& x, const Tensor& y,
                          const Tensor& slopes);

}  // namespace fmgs::detail
