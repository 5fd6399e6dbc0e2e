#include <fmgs/core/tensor_dict.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

namespace fmgs {

void TensorDict::set(const std::string& name, torch::Tensor value) {
    for (auto& [key, tensor] : entries_) {
        if (key == name) {
            tensor = std::move(value);
            return;
        }
    }
    entries_.emplace_back(name, std::move(value));
}

const torch::Tensor* TensorDict::find(std::string_view name) const {
    for (const auto& [key, tensor] : entries_) {
        if (key == name) return &tensor;
    }
    return nullptr;
}

const torch::Tensor& TensorDict::at(std::string_view name) const {
    if (const auto* tensor = find(name)) return *tensor;
    std::string have;
    for (const auto& [key, tensor] : entries_) {
        if (!have.empty()) have += ", ";
        have += key;
    }
    throw Error(
        fmt::format("there is no tensor '{}'; there are: {}", name, have.empty() ? "none" : have));
}

TensorDict TensorDict::to(torch::Device device) const {
    TensorDict out;
    for (const auto& [key, tensor] : entries_) out.set(key, tensor.to(device));
    return out;
}

TensorDict TensorDict::to(torch::Dtype dtype) const {
    TensorDict out;
    for (const auto& [key, tensor] : entries_)
        out.set(key, tensor.is_floating_point() ? tensor.to(dtype) : tensor);
    return out;
}

}  // namespace fmgs
