#pragma once
#include <torch/types.h>

namespace fmgs {

/// Bytes that are free on a GPU. Error for any other device.
int64_t free_memory(torch::Device device);

}  // namespace fmgs
