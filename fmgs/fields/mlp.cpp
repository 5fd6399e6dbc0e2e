#include <fmgs/fields/mlp.h>

#include <fmgs/core/check.h>
#include <fmgs/core/random.h>
#include <fmgs/fields/mlp_blocks.h>
#include <fmgs/fields/mlp_loops.h>
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

torch::Tensor MlpImpl::through(const torch::Tensor& x, std::vector<torch::Tensor> weights,
                               std::vector<torch::Tensor> biases) const {
    const auto own = x.scalar_type(), type = is_training() ? type_.value_or(own) : own;
    if (x.is_cpu()) return detail::mlp_in_blocks(x, weights, biases, type);
    auto h = x;
    for (size_t k = 0; k < weights.size(); ++k) {
        const auto of_layer = k + 1 < weights.size() ? type : own;
        // In place: the backward of LeakyReLU with a positive slope needs only the result.
        if (k > 0) torch::leaky_relu_(h, detail::kMlpSlope);
        h = torch::linear(h.to(of_layer), weights[k].to(of_layer), biases[k].to(of_layer));
    }
    return h;
}

torch::Tensor MlpImpl::forward(const torch::Tensor& x) {
    check_shape(x, {-1, weights_.front().size(1)}, "input of the Mlp");
    return through(x, weights_, biases_);
}

torch::Tensor MlpImpl::forward(const torch::Tensor& x, const torch::Tensor& constant) {
    auto weights = weights_, biases = biases_;
    check_shape(constant, {-1}, "constant input of the Mlp");
    const int64_t width = weights[0].size(1) - constant.size(0);
    check_shape(x, {-1, width}, "input of the Mlp");
    biases[0] = torch::addmv(biases[0], weights[0].narrow(1, width, constant.size(0)), constant);
    weights[0] = weights[0].narrow(1, 0, width);
    return through(x, std::move(weights), std::move(biases));
}

void MlpImpl::zero_outputs(int64_t first, int64_t count) {
    torch::NoGradGuard guard;  // sets initial values; no part of any graph
    weights_.back().narrow(0, first, count).zero_();
    biases_.back().narrow(0, first, count).zero_();
}

}  // namespace fmgs
