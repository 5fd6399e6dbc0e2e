#pragma once
/// The CUDA backend of fmgs::hash_encode, as torch sees it.
#include <fmgs/fields/hash/hash_encode_op.h>

namespace fmgs::detail {

/// Checked inputs, float.
Tensor hash_encode_cuda(const EncodeInputs& in);
/// Gradients to the table and to x; one that is not needed comes out undefined.
std::tuple<Tensor, Tensor> hash_encode_cuda_backward(const EncodeInputs& in, const Tensor& grad,
                                                     std::array<bool, 2> needs);

}  // namespace fmgs::detail
