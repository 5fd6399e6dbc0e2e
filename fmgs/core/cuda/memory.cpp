
#include <fmgs/core/cuda/memory.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <stdlib.h>
#if defined(FMGS_CUDA)
#include <fmgs/core/cuda/check.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace fmgs {

void keep_freed_memory() {
#if defined(__GLIBC__)
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);  // never
#endif
}

int64_t free_memory(torch::Device device) {
#if defined(FMGS_CUDA)
    if (device.is_cuda()) {
        const c10::cuda::CUDAGuard guard(device);
        size_t free = 0, total = 0;
        check_cuda(cudaMemGetInfo(&free, &total), "free_memory");
        return static_cast<int64_t>(free);
    }
#endif
    throw Error(fmt::format("free_memory: expected a GPU, got '{}'", device.str()));
}

}  // namespace fmgs
