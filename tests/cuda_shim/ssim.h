#pragma once
/// The fused SSIM of the CUDA backend run on CPU tensors by cuda_runtime.h's stand-in.
#include <torch/types.h>

namespace fmgs::test {

/// Σ (1 - SSIM), []; float or double, with its gradients.
torch::Tensor shim_dissimilarity(const torch::Tensor& x, const torch::Tensor& y);
/// The entry point of a GPU, which refuses what no kernel is built for.
torch::Tensor shim_dissimilarity_entry(const torch::Tensor& x, const torch::Tensor& y);

}  // namespace fmgs::test
