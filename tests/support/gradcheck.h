#pragma once
/// Gradients in double against central differences.
#include <functional>
#include <vector>

#include "support/test.h"

namespace fmgs::test {

/// Largest |analytic - numeric| / (1 + |numeric|) over all elements of all inputs. `f` maps inputs
/// (double leaves) to a scalar.
inline double gradient_error(
    const std::function<torch::Tensor(const std::vector<torch::Tensor>&)>& f,
    std::vector<torch::Tensor> inputs, double step = 1e-6) {
    for (auto& x : inputs)
        x = x.detach().clone().to(torch::kDouble).contiguous().requires_grad_(true);
    auto y = f(inputs);
    auto analytic = torch::autograd::grad({y}, inputs, {}, false, false, /*allow_unused=*/true);
    torch::NoGradGuard guard;
    double worst = 0;
    for (size_t k = 0; k < inputs.size(); ++k) {
        auto flat = inputs[k].view({-1});
        auto grad =
            analytic[k].defined() ? analytic[k].contiguous().view({-1}) : torch::zeros_like(flat);
        for (int64_t i = 0; i < flat.numel(); ++i) {
            const double x0 = flat[i].item<double>();
            flat[i] = x0 + step;
            const double up = f(inputs).item<double>();
            flat[i] = x0 - step;
            const double down = f(inputs).item<double>();
            flat[i] = x0;
            const double numeric = (up - down) / (2 * step);
            worst = std::max(worst,
                             std::abs(grad[i].item<double>() - numeric) / (1 + std::abs(numeric)));
        }
    }
    return worst;
}

}  // namespace fmgs::test
