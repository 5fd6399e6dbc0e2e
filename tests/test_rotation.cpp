#include <fmgs/core/rotation.h>

#include <numbers>

#include "support/gradcheck.h"

using namespace fmgs;
using test::gradient_error;

namespace {

constexpr double kPi = std::numbers::pi;

torch::Tensor rows(const std::vector<double>& values) {
    return torch::tensor(values, torch::kDouble).view({-1, 3});
}

// A fixed matrix to weigh the entries with, so that no gradient cancels by symmetry.
torch::Tensor weighted(const torch::Tensor& x) {
    return (x.reshape({-1}) * torch::arange(1, x.numel() + 1, torch::kDouble).sin()).sum();
}

// Around 0, on both sides of the switch between series and quotient (θ² = 0.02), and up to π.
torch::Tensor axis_angles() {
    return rows({0,    0,   0,   1e-9, 0,   0,    0.01, -0.02, 0.005, 0.1, 0.09,
                 0.02, 0.1, 0.1, 0.03, 0.8, -0.7, 0.3,  -1.2,  2,     1.5});
}

}  // namespace

TEST_CASE("exp_map is the matrix exponential of the skew matrix", "[rotation]") {
    const auto r = axis_angles();
    REQUIRE_CLOSE(exp_map(r), torch::matrix_exp(skew(r)), 1e-14);  // measured 5e-16
}

TEST_CASE("exp_map of float differs from double by rounding only", "[rotation]") {
    const auto r = axis_angles();
    REQUIRE(exp_map(r.to(torch::kFloat)).scalar_type() == torch::kFloat);
    REQUIRE_CLOSE(exp_map(r.to(torch::kFloat)), exp_map(r), 1e-6);  // measured 6e-8
}

TEST_CASE("the gradient of exp_map is right, at angle 0 too", "[rotation]") {
    const auto f = [](const std::vector<torch::Tensor>& x) { return weighted(exp_map(x[0])); };
    REQUIRE(gradient_error(f, {axis_angles()}) < 1e-8);  // measured 2.6e-10
    const auto zero = torch::zeros({1, 3}, torch::dtype(torch::kFloat).requires_grad(true));
    exp_map(zero).select(1, 2).select(1, 1).sum().backward();  // d R_zy / d r_x = 1
    REQUIRE_CLOSE(zero.grad(), torch::tensor({{1.0f, 0.0f, 0.0f}}), 0.0);
}

TEST_CASE("log_map undoes exp_map", "[rotation]") {
    const auto r = axis_angles();
    REQUIRE_CLOSE(log_map(exp_map(r)), r, 1e-14);  // measured 1e-16
}

TEST_CASE("trap 17: log_map is finite at 0 and at pi about any axis", "[rotation]") {
    const auto axes =
        torch::cat({torch::eye(3, torch::kDouble), rows({0.6, -0.8, 0, 0.48, 0.6, 0.64})});
    for (const double angle : {0.0, 1e-10, kPi - 1e-7, kPi}) {
        const auto R = exp_map(angle * axes);
        const auto back = log_map(R);
        REQUIRE_CLOSE(back.norm(2, 1), torch::full({5}, angle, torch::kDouble),
                      1e-14);  // measured 0
        REQUIRE_CLOSE(exp_map(back), R,
                      1e-14);  // measured 6e-16; at π the axis may come with either sign
    }
}

TEST_CASE("the gradient of log_map is right, at angle 0 too", "[rotation]") {
    const auto f = [](const std::vector<torch::Tensor>& x) {
        return weighted(log_map(exp_map(x[0])));
    };
    REQUIRE(gradient_error(f, {axis_angles()}) < 1e-7);  // measured 2.3e-10
}

TEST_CASE("rotations name a wrong shape", "[rotation]") {
    REQUIRE(test::throws_error([] { exp_map(torch::zeros({3})); },
                               "axis-angle: expected [any,3], got [3]"));
    REQUIRE(test::throws_error(
        [] {
            log_map(torch::zeros({2, 3}));
        },
        "rotation: expected [any,3,3], got [2,3]"));
}
