#pragma once
/// How kernels are launched. `<<<…>>>` is no C++: with this the .cu files compile as C++ too, for
/// tests that run kernels on the CPU.
#include <cuda_runtime.h>

#include <cstdint>
#include <utility>

#if defined(__CUDACC__)
#define FMGS_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#else
#define FMGS_DYNAMIC_SHARED(name) unsigned char* const name = ::fmgs::cuda_shim::dynamic_shared()
#endif

namespace fmgs {

constexpr unsigned kWholeWarp = 0xffffffffu;
/// bytes of shared memory that every GPU since 7.5 gives a block
constexpr size_t kSharedLimit = 65536;

/// Launches nothing for zero blocks. shared: bytes of dynamic shared memory.
template <class... Expected, class... Actual>
cudaError_t launch(void (*kernel)(Expected...), int64_t blocks, unsigned threads, size_t shared,
                   cudaStream_t stream, Actual&&... arguments) {
    constexpr size_t kWithoutAsking = 49152;
    if (blocks == 0) return cudaSuccess;
    if (blocks < 0 || blocks > INT32_MAX) return cudaErrorInvalidValue;
    if (shared > kWithoutAsking) {
        const cudaError_t error = cudaFuncSetAttribute(
            kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
        if (error != cudaSuccess) return error;
    }
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(static_cast<unsigned>(blocks));
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared;
    config.stream = stream;
    return cudaLaunchKernelEx(&config, kernel, std::forward<Actual>(arguments)...);
}

}  // namespace fmgs
