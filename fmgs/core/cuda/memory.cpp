#include <fmgs/core/cuda/memory.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>
#if defined(FMGS_CUDA)
#include <fmgs/core/cuda/check.h>
#endif

namespace fmgs {

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
