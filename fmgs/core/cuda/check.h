#pragma once
/// What torch's side of the kernels needs: the current stream, and errors with a name.
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime.h>
#include <fmgs/core/check.h>
#include <fmt/format.h>

namespace fmgs {

inline void check_cuda(cudaError_t error, const char* what) {
    if (error != cudaSuccess)
        throw Error(fmt::format("{}: CUDA: {}", what, cudaGetErrorString(error)));
}

/// The stream on which torch works for this tensor.
inline cudaStream_t stream_of(const torch::Tensor& x) {
    return c10::cuda::getCurrentCUDAStream(x.device().index()).stream();
}

}  // namespace fmgs
