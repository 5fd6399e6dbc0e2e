#pragma once
/// Stands in for torch's header when the torch side of a backend runs on the CPU: see
/// ../../cuda_runtime.h.
#include <c10/core/Device.h>
#include <cuda_runtime.h>

namespace c10::cuda {
struct CUDAGuard {
    explicit CUDAGuard(c10::Device) {}
};
}  // namespace c10::cuda
