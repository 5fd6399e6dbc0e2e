#include <fmgs/core/random.h>
#include <fmgs/fields/mlp.h>

#include "support/gradcheck.h"
#include "support/module.h"
#include "support/test.h"

using namespace fmgs;

namespace {
torch::Tensor draw(std::initializer_list<int64_t> shape, uint64_t seed = 3) {
    return torch::randn(shape, Random{seed}.generator("draw"), torch::kFloat64);
}
}  // namespace

TEST_CASE("an Mlp is linear, LeakyReLU(0.01), linear", "[mlp]") {
    Mlp mlp(std::vector<int64_t>{3, 5, 2}, 7);
    mlp->to(torch::kDouble);
    const auto p = mlp->named_parameters();
    const auto x = draw({4, 3});
    const auto h = x.matmul(p["weight0"].t()) + p["bias0"];
    const auto expected = torch::where(h > 0, h, 0.01 * h).matmul(p["weight1"].t()) + p["bias1"];
    REQUIRE_CLOSE(mlp->forward(x), expected, 1e-14);  // measured 1e-16
}

TEST_CASE("a constant input equals the same input repeated in every row", "[mlp]") {
    Mlp mlp(std::vector<int64_t>{5, 8, 8, 2}, 1);
    mlp->to(torch::kDouble);
    const auto x = draw({6, 3}), constant = draw({2}, 4);
    const auto repeated = torch::cat({x, constant.expand({6, 2})}, 1);
    REQUIRE_CLOSE(mlp->forward(x, constant), mlp->forward(repeated), 1e-14);  // measured 1e-16
}

TEST_CASE("weights and biases start uniform within one over the root of the fan-in", "[mlp]") {
    Mlp a(std::vector<int64_t>{16, 64, 4}, 1), b(std::vector<int64_t>{16, 64, 4}, 1),
        c(std::vector<int64_t>{16, 64, 4}, 2);
    for (const char* name : {"weight0", "bias0"}) {
        const auto value = a->named_parameters()[name];
        REQUIRE(value.abs().max().item<double>() <= 0.25);
        REQUIRE(value.abs().max().item<double>() > 0.22);
        REQUIRE(torch::equal(value, b->named_parameters()[name]));
        REQUIRE_FALSE(torch::equal(value, c->named_parameters()[name]));
    }
}

TEST_CASE("zeroed outputs are exactly zero and learn", "[mlp]") {
    Mlp mlp(std::vector<int64_t>{3, 8, 6}, 1);
    mlp->zero_outputs(1, 2);
    const auto out = mlp->forward(torch::ones({4, 3}));
    REQUIRE(out.slice(1, 1, 3).abs().max().item<float>() == 0);
    REQUIRE(out.slice(1, 3).abs().min().item<float>() > 0);
    out.sum().backward();
    REQUIRE(mlp->named_parameters()["weight1"].grad()[1].abs().max().item<float>() > 0);
}

TEST_CASE("gradients to inputs and parameters are right in double", "[mlp]") {
    Mlp mlp(std::vector<int64_t>{5, 7, 7, 3}, 2);
    mlp->to(torch::kDouble);
    const auto value = [&](const std::vector<torch::Tensor>& in) {
        return mlp->forward(in[0], in[1]).sin().sum();
    };
    const auto x = draw({4, 3}), constant = draw({2}, 4);
    REQUIRE(test::gradient_error(value, {x, constant}) < 1e-7);
    REQUIRE(test::parameter_gradient_error(*mlp, [&] { return value({x, constant}); }) < 1e-7);
}

TEST_CASE("an Mlp refuses a wrong width", "[mlp]") {
    Mlp mlp(std::vector<int64_t>{5, 2});
    REQUIRE(test::throws_error([&] { mlp->forward(torch::zeros({4, 3})); }, "[any,5]"));
    REQUIRE(test::throws_error(
        [&] {
            mlp->forward(torch::zeros({4, 4}), torch::zeros({2}));
        },
        "[any,3]"));
    REQUIRE(test::throws_error([] { Mlp(std::vector<int64_t>{5}); }, "widths"));
    REQUIRE(test::throws_error([] { Mlp(std::vector<int64_t>{5, 0, 2}); }, "widths"));
}
