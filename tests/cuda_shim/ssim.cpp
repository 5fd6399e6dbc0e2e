// The sources of the fused SSIM as one C++ file. The name of its entry point is changed, for
// programs that link the real one too.
#define dissimilarity_sum_cuda shim_dissimilarity_sum_cuda
#ifndef FMGS_CUDA
#define FMGS_CUDA
#endif
// clang-format off
#include <fmgs/losses/ssim/ssim_kernels.cu>
#include <fmgs/losses/ssim/ssim_cuda.cpp>  // NOLINT(bugprone-suspicious-include)
// clang-format on

#include "cuda_shim/ssim.h"

namespace fmgs::test {

torch::Tensor shim_dissimilarity(const torch::Tensor& x, const torch::Tensor& y) {
    return x.scalar_type() == torch::kFloat ? detail::dissimilarity_sum<float>(x, y)
                                            : detail::dissimilarity_sum<double>(x, y);
}

torch::Tensor shim_dissimilarity_entry(const torch::Tensor& x, const torch::Tensor& y) {
    return detail::shim_dissimilarity_sum_cuda(x, y);
}

}  // namespace fmgs::test
