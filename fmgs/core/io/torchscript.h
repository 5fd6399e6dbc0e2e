#pragma once
/// Networks of TorchScript files (torch.jit.save), which bring their code along.
#include <torch/csrc/jit/api/module.h>
#include <torch/types.h>

#include <exception>
#include <filesystem>
#include <string>

namespace fmgs::detail {

/// The network of a file, on its device, in eval() mode and, with `half`, in half precision. Its
/// tensors are made for inference: nothing is learned through them. Error, naming file and cure:
/// not there, no TorchScript (a safetensors file, a checkpoint of weights, torch.export), too large
/// for the memory, of a newer torch.
torch::jit::Module load_torchscript(const std::filesystem::path& file, torch::Device device,
                                    bool half = false);

/// The last reason that LibTorch gives for a failure: what is before it is a trace of the network's
/// code.
std::string torchscript_reason(const std::exception_ptr& exception);
/// Is that reason a want of memory?
bool is_want_of_memory(const std::string& reason);

}  // namespace fmgs::detail
