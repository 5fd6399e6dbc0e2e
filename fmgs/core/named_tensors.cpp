#include <fmgs/core/named_tensors.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

namespace fmgs {

TensorDict named_tensors(const torch::nn::Module& module, const std::string& prefix) {
    TensorDict out;
    for (const auto& item : module.named_parameters()) out.set(prefix + item.key(), item.value());
    for (const auto& item : module.named_buffers()) {
        if (item.value().defined()) out.set(prefix + item.key(), item.value());
    }
    return out;
}

TensorDict below_prefix(const TensorDict& tensors, const std::string& prefix) {
    TensorDict out;
    for (const auto& [name, tensor] : tensors) {
        if (name.starts_with(prefix)) out.set(name.substr(prefix.size()), tensor);
    }
    return out;
}

std::string mismatches(const TensorDict& from, const TensorDict& into) {
    std::string out;
    const auto describe = [](const torch::Tensor& t) {
        return fmt::format("{} {}", c10::toString(t.scalar_type()), shape_text(t.sizes()));
    };
    for (const auto& [name, target] : into) {
        const auto* source = from.find(name);
        if (!source) {
            out += fmt::format("\n  {}: missing", name);
        } else if (source->sizes() != target.sizes() ||
                   source->scalar_type() != target.scalar_type()) {
            out += fmt::format("\n  {}: expected {}, got {}", name, describe(target),
                               describe(*source));
        }
    }
    for (const auto& [name, source] : from) {
        if (!into.contains(name)) out += fmt::format("\n  {}: not part of this model", name);
    }
    return out;
}

void copy_tensors(const TensorDict& from, const TensorDict& into, const std::string& what) {
    const auto list = mismatches(from, into);
    if (!list.empty())
        throw Error(fmt::format("{}: does not fit this model; was it made with other options?{}",
                                what, list));
    const torch::NoGradGuard guard;  // loading is not part of any graph
    for (const auto& [name, target] : into) torch::Tensor(target).copy_(from.at(name));
}

}  // namespace fmgs
