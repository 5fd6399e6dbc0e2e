#pragma once
/// How what was drawn on the CPU comes to a GPU in the middle of a step.
#include <torch/types.h>

namespace fmgs {

/// x in this type on this device. From pageable memory a copy to a GPU waits for all that was asked
/// of it before; from pinned memory it does not.
inline torch::Tensor upload(const torch::Tensor& x, const torch::TensorOptions& options) {
    if (options.device().is_cpu() || !x.is_cpu()) return x.to(options);
    return x.to(options.dtype()).pin_memory().to(options.device(), /*non_blocking=*/true);
}

}  // namespace fmgs
