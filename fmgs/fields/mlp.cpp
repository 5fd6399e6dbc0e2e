#include <fmgs/fields/mlp.h>

#include <fmgs/core/check.h>
#include <fmgs/core/random.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace fmgs {

MlpImpl::MlpImpl(const std::vector<int64_t>& widths, uint64_t seed) {
    if (widths.size() < 2) {
        throw Error(
            fmt::format("Mlp: widths: expected at least an input and an output, got {} numbers",
                        widths.size()));
    }
    for (const int64_t width : widths) {
        if (width < 1)
            throw Error(fmt::format("Mlp: widths: expected numbers >= 1, got {}", width));
    }
    const auto generator = Random{seed}.generator("mlp");
    for (size_t k = 0; k + 1 < widths.size(); ++k) {
        const double bound = 1 / std::sqrt(static_cast<double>(widths[k]));
        auto weight = torch::empty({widths[k + 1], widths[k]}).uniform_(-bound, bound, generator);
        auto bias = torch::empty({widths[k + 1]}).uniform_(-bound, bound, generator);
        weights_.push_back(register_parameter("weight" + std::to_string(k), weight));
        biases_.push_back(register_parameter("bias" + std::to_string(k), bias));
    }
}

torch::Tensor MlpImpl::rest(torch::Tensor h) {
    for (size_t k = 1; k < weights_.size(); ++k) {
        // In place: the backward of LeakyReLU with a positive slope needs only the result.
        h = torch::linear(torch::leaky_relu_(h, 0.01), weights_[k], biases_[k]);
    }
    return h;
}

torch::Tensor MlpImpl::forward(const torch::Tensor& x) {
    check_shape(x, {-1, weights_.front().size(1)}, "input of the Mlp");
    return rest(torch::linear(x, weights_.front(), biases_.front()));
}

torch::Tensor MlpImpl::forward(const torch::Tensor& x, const torch::Tensor& constant) {
    const auto& weight = weights_.front();
    check_shape(constant, {-1}, "constant input of the Mlp");
    const int64_t width = weight.size(1) - constant.size(0);
    check_shape(x, {-1, width}, "input of the Mlp");
    const auto bias =
        torch::addmv(biases_.front(), weight.narrow(1, width, constant.size(0)), constant);
    return rest(torch::linear(x, weight.narrow(1, 0, width), bias));
}

void MlpImpl::zero_outputs(int64_t first, int64_t count) {
    torch::NoGradGuard guard;  // sets initial values; no part of any graph
    weights_.back().narrow(0, first, count).zero_();
    biases_.back().narrow(0, first, count).zero_();
}

}  // namespace fmgs
