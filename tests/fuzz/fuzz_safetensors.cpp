/// Safetensors files.
#include <fmgs/train/checkpoint.h>
#include <torch/types.h>

#include "target.h"

using namespace fmgs;

void read_input(const uint8_t* data, size_t size) {
    const auto tensors = parse_safetensors(reinterpret_cast<const char*>(data), size, "input");
    for (const auto& [name, tensor] : tensors) {
        if (tensor.nbytes() > size) throw std::logic_error("a tensor larger than its file");
        // A bool that is neither true nor false would be undefined behaviour in every kernel.
        if (tensor.scalar_type() == torch::kBool &&
            tensor.view(torch::kByte).gt(1).any().item<bool>())
            throw std::logic_error("a bool that is neither");
    }
}
