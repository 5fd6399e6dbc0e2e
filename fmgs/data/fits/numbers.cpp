#include <fmgs/data/fits/numbers.h>

#include <fmgs/core/check.h>
#include <fmgs/core/rotation.h>
#include <fmt/format.h>

#include <cmath>

namespace fmgs::detail {

torch::Tensor finite_numbers(const Value& value, const std::string& what) {
    torch::Tensor x;
    try {
        x = value.tensor().to(torch::kDouble);
    } catch (const Error& error) {
        const std::string text = error.what();
        if (text.starts_with(what.substr(0, what.find(": ")))) throw;  // names the file already
        throw Error(fmt::format("{}: {}", what, text));
    }
    if (x.numel() == 0) return x;
    const auto rows = x.dim() > 0 ? x.reshape({x.size(0), -1}) : x.reshape({1, 1});
    const auto bad = (~rows.isfinite().all(1)).nonzero();
    if (bad.size(0) > 0)
        throw Error(
            fmt::format("{}: row {} holds NaN or infinity, expected finite numbers; fit "
                        "this frame again or leave it out",
                        what, bad[0].item<int64_t>()));
    return x;
}

std::pair<int64_t, double> worst_rotation(const torch::Tensor& matrices) {
    const auto flat = matrices.reshape({-1, 3, 3});
    if (flat.size(0) == 0) return {-1, 0};
    const auto gram = torch::matmul(flat, flat.transpose(1, 2)) - torch::eye(3, flat.options());
    const auto away = gram.abs().amax({1, 2}).masked_fill(torch::linalg_det(flat) < 0, INFINITY);
    const int64_t at = away.argmax().item<int64_t>();
    return {at, away[at].item<double>()};
}

torch::Tensor axis_angle_of(const torch::Tensor& matrices, const std::string& what) {
    const auto [at, away] = worst_rotation(matrices);
    if (!(away < 0.02))
        throw Error(fmt::format(
            "{}: expected rotation matrices, got some {}", what,
            std::isinf(away) ? "that mirror"
                             : fmt::format("whose columns are not orthonormal (by {:.2g})", away)));
    auto shape = matrices.sizes().vec();
    shape.pop_back();
    return log_map(matrices.reshape({-1, 3, 3})).reshape(shape);
}

torch::Tensor root_of_rh_th(const torch::Tensor& Rh, const torch::Tensor& Th,
                            const torch::Tensor& rest) {
    return torch::matmul(exp_map(Rh), rest) + Th;
}

}  // namespace fmgs::detail
