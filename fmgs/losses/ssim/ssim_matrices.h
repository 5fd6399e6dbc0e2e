#pragma once
/// SSIM by matrix products, in ATen's operations: on a CPU, and in double on any device.
#include <fmgs/losses/ssim/ssim.h>

namespace fmgs::detail {

/// Σ (1 − S) of contiguous pictures.
Tensor sum_by_matrices(const Tensor& x, const Tensor& y);
std::tuple<Tensor, Tensor> slopes_by_matrices(const Tensor& x, const Tensor& y);
Tensor gradient_by_matrices(const Tensor& grad, const Tensor& x, const Tensor& y,
                            const Tensor& slopes);

}  // namespace fmgs::detail
