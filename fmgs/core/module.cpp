#include <fmgs/core/module.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <torch/utils.h>

namespace fmgs {

void Module::to(torch::Dtype dtype, bool non_blocking) {
    for (const auto& child : children()) child->to(dtype, non_blocking);
    // The handles stay, so that members, optimizers and caches see the new type: as torch does.
    for (auto& item : named_parameters(/*recurse=*/false))
        item.value().set_data(item.value().to(dtype, non_blocking));
    for (auto& item : named_buffers(/*recurse=*/false)) {
        // Likewise: a buffer keeps its handle.
        if (item.value().is_floating_point())
            item.value().set_data(item.value().to(dtype, non_blocking));
    }
}

void Module::to(torch::Device device, torch::Dtype dtype, bool non_blocking) {
    to(device, non_blocking);
    to(dtype, non_blocking);
}

std::shared_ptr<torch::nn::Module> Module::clone(const std::optional<torch::Device>&) const {
    detail::refuse_clone(*this);
}

void copy_state(const torch::nn::Module& from, torch::nn::Module& to,
                const std::optional<torch::Device>& device) {
    torch::NoGradGuard guard;  // initial values of the copy: no part of any graph
    const auto copy = [&](const auto& source, auto target, const char* kind) {
        for (const auto& item : source) {
            auto* value = target.find(item.key());
            if (!value || source.size() != target.size()) {
                throw Error(fmt::format(
                    "copy_state: expected the same {} in both modules; '{}' or another differs",
                    kind, item.key()));
            }
            const auto& x = item.value();
            // A fresh module's own handle takes the value, whatever its type and shape.
            value->set_data(x.to(x.options().device(device.value_or(x.device())),
                                 /*non_blocking=*/false, /*copy=*/true));
            if (x.is_floating_point()) value->set_requires_grad(x.requires_grad());
        }
    };
    copy(from.named_parameters(), to.named_parameters(), "parameters");
    copy(from.named_buffers(), to.named_buffers(), "buffers");
}

void detail::refuse_clone(const torch::nn::Module& module) {
    throw Error(fmt::format(
        "{}: clone() is not implemented by this class; override it (fmgs/core/module.h: cloned)",
        module.name()));
}

}  // namespace fmgs
