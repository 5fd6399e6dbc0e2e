#pragma once
/// What a module holds, by name: for checkpoints and avatar files.
#include <fmgs/core/tensor_dict.h>
#include <torch/nn/module.h>

namespace fmgs {

/// Parameters and buffers of a module by dotted name, `prefix` in front. They alias the module.
TensorDict named_tensors(const torch::nn::Module& module, const std::string& prefix = "");
/// The tensors whose names begin with `prefix`, without it.
TensorDict below_prefix(const TensorDict& tensors, const std::string& prefix);
/// Every way in which `from` differs from `into` in names, shapes and dtypes, a line each; empty
/// when there is none.
std::string mismatches(const TensorDict& from, const TensorDict& into);
/// Copies values by name. Error that lists *every* missing or unknown name and every other shape or
/// dtype; nothing is copied then. `what` names the source in the message.
void copy_tensors(const TensorDict& from, const TensorDict& into, const std::string& what);

}  // namespace fmgs
