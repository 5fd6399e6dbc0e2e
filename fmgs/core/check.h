#pragma once
/// Errors that users see, and shape checks of tensors.
#include <torch/types.h>

#include <exception>
#include <initializer_list>
#include <stdexcept>
#include <string>

namespace fmgs {

/// Anything that is wrong with what a user gave: a file, a key, a tensor. The message says what,
/// where, what was expected and what came.
class Error : public std::runtime_error {
  public:
    explicit Error(const std::string& message) : std::runtime_error(message) {}
};

/// What an exception says, without the stack that LibTorch adds to its own.
std::string message_of(const std::exception_ptr& exception);

/// Throws Error unless `x` is defined and has this shape; -1 stands for any size.
/// "position: expected [55104,3], got [55104,4]"
void check_shape(const torch::Tensor& x, std::initializer_list<int64_t> shape, const char* name);

/// Throws Error unless the operators have kernels for the device (operators.h).
void check_device(torch::Device device, const char* name);

/// "[55104,3]"
std::string shape_text(torch::IntArrayRef shape);

}  // namespace fmgs
