#pragma once
/// The fused SSIM of the CUDA backend.
#include <torch/types.h>

namespace fmgs::detail {

#if defined(FMGS_CUDA)
/// Σ (1 - SSIM) over all pixels and channels, [], of pictures [C,H,W], float, on a GPU; gradients
/// to both. The same bits in every run. A second derivative raises.
torch::Tensor dissimilarity_sum_cuda(const torch::Tensor& x, const torch::Tensor& y);
#endif

}  // namespace fmgs::detail
