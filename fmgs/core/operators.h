#pragma once
/// What the operators of torch.ops.fmgs share. operators.cpp holds all their schemas; the kernels
/// for a CPU, for CUDA, for autograd and for meta tensors, which have shapes alone, are registered
/// by files of their own beside what they run.
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/types.h>

#include <vector>

namespace fmgs::detail {

/// The operator of this name ("fmgs::rasterize"), to be called. F: its C++ signature.
template <class F>
c10::TypedOperatorHandle<F> find_operator(const char* name) {
    return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<F>();
}

/// Has every operator a kernel for such a device, be it a fallback to the CPU?
bool has_kernels(torch::Device device);

/// The outputs of a backward pass, computed below autograd from `inputs`, such that a second
/// derivative raises Error instead of coming out as zero. name: of the operator.
std::vector<torch::Tensor> once_differentiable(const char* name, torch::TensorList inputs,
                                               std::vector<torch::Tensor> outputs);

}  // namespace fmgs::detail
