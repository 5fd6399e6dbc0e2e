#pragma once
#include <torch/types.h>

namespace fmgs {

/// Tells glibc to keep the memory that is freed instead of giving blocks of more than 32 MB, and
/// what tops the heap, back to the system: a training step asks for the same blocks as the step
/// before, and the system hands out empty pages one fault at a time. For programs, at the start of
/// main(); the library never calls it. Does nothing with another C library.
void keep_freed_memory();

/// Bytes that are free on a GPU. Error for any other device.
int64_t free_memory(torch::Device device);

}  // namespace fmgs
