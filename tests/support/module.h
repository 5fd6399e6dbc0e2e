#pragma once
/// Checks that hold for every module of fmgs/fields.
#include "support/test.h"

namespace fmgs::test {

/// Copies parameters and buffers by name, as a checkpoint does; false when the names differ.
inline bool copy_state(const torch::nn::Module& from, torch::nn::Module& to) {
    torch::NoGradGuard guard;
    const auto copy = [](const auto& source, auto target) {
        if (source.size() != target.size()) return false;
        for (const auto& item : source) {
            auto* value = target.find(item.key());
            if (!value || value->sizes() != item.value().sizes()) return false;
            value->copy_(item.value());
        }
        return true;
    };
    return copy(from.named_parameters(), to.named_parameters()) &&
           copy(from.named_buffers(), to.named_buffers());
}

/// Worst error of dL/dparameter against central differences over `count` entries of each parameter,
/// spread evenly.
template <class Value>
double parameter_gradient_error(torch::nn::Module& module, Value&& value, int64_t count = 12,
                                double step = 1e-6) {
    const auto parameters = module.parameters();
    const auto analytic = torch::autograd::grad({value()}, parameters, {}, false, false, true);
    torch::NoGradGuard guard;
    double worst = 0;
    for (size_t k = 0; k < parameters.size(); ++k) {
        auto flat = parameters[k].view({-1});
        // The entries with the largest gradients, and a few of the others.
        const auto grad =
            analytic[k].defined() ? analytic[k].reshape({-1}) : torch::zeros_like(flat);
        const auto order = grad.abs().argsort(0, true);
        const int64_t n = std::min(count, flat.numel());
        for (int64_t i = 0; i < n; ++i) {
            const int64_t at =
                order[i % 4 == 3 ? flat.numel() - 1 - i : i].template item<int64_t>();
            const double x = flat[at].template item<double>();
            flat[at] = x + step;
            const double up = value().template item<double>();
            flat[at] = x - step;
            const double down = value().template item<double>();
            flat[at] = x;
            const double numeric = (up - down) / (2 * step);
            worst = std::max(worst, std::abs(grad[at].template item<double>() - numeric) /
                                        (1 + std::abs(numeric)));
        }
    }
    return worst;
}

}  // namespace fmgs::test
