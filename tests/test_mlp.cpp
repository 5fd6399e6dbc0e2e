#include <ATen/Parallel.h>
#include <fmgs/core/random.h>
#include <fmgs/fields/mlp.h>
#include <fmgs/fields/mlp_loops.h>

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

namespace {

/// Value and gradients of a network, and of the operators of torch that it stands for.
struct Both {
    Mlp mlp{std::vector<int64_t>{6, 40, 33, 5}, 4};
    torch::Tensor x, weight;

    explicit Both(int64_t rows, torch::Dtype type = torch::kDouble)
        : x(draw({rows, 6}).to(type).requires_grad_(true)), weight(draw({rows, 5}, 8).to(type)) {
        mlp->to(type);
    }
    std::vector<torch::Tensor> gradients(const torch::Tensor& y) const {
        auto inputs = mlp->parameters();
        inputs.push_back(x);
        auto out = torch::autograd::grad({y}, inputs, {weight});
        out.push_back(y);
        return out;
    }
    std::vector<torch::Tensor> own() { return gradients(mlp->forward(x)); }
    std::vector<torch::Tensor> by_operators() const {
        const auto p = mlp->named_parameters();
        auto h = torch::linear(x, p["weight0"], p["bias0"]);
        for (const char* k : {"1", "2"})
            h = torch::linear(torch::leaky_relu(h, 0.01), p[std::string("weight") + k],
                              p[std::string("bias") + k]);
        return gradients(h);
    }
};

}  // namespace

TEST_CASE("blocks of rows give what whole layers give", "[mlp]") {
    for (const int64_t rows : {0, 1, 1024, 1025, 40000}) {
        CAPTURE(rows);
        Both both(rows);
        const auto got = both.own(), wanted = both.by_operators();
        for (size_t k = 0; k < got.size(); ++k) {
            const auto scale = 1 + (rows > 0 ? wanted[k].abs().max().item<double>() : 0);
            REQUIRE_CLOSE(got[k] / scale, wanted[k] / scale, 1e-12);
        }
    }
}

TEST_CASE("a network gives the same bits on one thread and on three", "[mlp]") {
    for (const auto type : {torch::kFloat, torch::kBFloat16}) {
        Both both(5000, torch::kFloat);
        both.mlp->train_in(type);
        const int threads = at::get_num_threads();
        at::set_num_threads(1);
        const auto one = both.own();
        at::set_num_threads(3);
        const auto three = both.own();
        at::set_num_threads(threads);
        for (size_t k = 0; k < one.size(); ++k) REQUIRE(torch::equal(one[k], three[k]));
    }
}

TEST_CASE("bfloat16 products are near in train(), and not taken in eval()", "[mlp]") {
    Both both(3000, torch::kFloat);
    // Of one sign, so that sums over rows do not cancel.
    both.x = both.x.detach().abs().requires_grad_(true);
    both.weight = torch::ones_like(both.weight);
    const auto exact = both.own();
    both.mlp->train_in(torch::kBFloat16);
    bool any = false;
    const auto rounded = both.own();
    for (size_t k = 0; k < exact.size(); ++k) {
        // The median: where rounding turns the sign of a hidden unit a gradient is another.
        const auto error = (rounded[k] - exact[k]).abs().median().item<double>() /
                           exact[k].abs().median().item<double>();
        CAPTURE(k, error);
        REQUIRE(rounded[k].scalar_type() == torch::kFloat);
        any |= error > 0;
        REQUIRE(error < 0.02);  // measured up to 0.0066; half a unit of bfloat16 is 0.004
    }
    REQUIRE(any);
    both.mlp->eval();
    const auto still = both.own();
    for (size_t k = 0; k < exact.size(); ++k) REQUIRE(torch::equal(still[k], exact[k]));
    both.mlp->train();
    both.mlp->train_in({});
    REQUIRE(torch::equal(both.own().back(), exact.back()));
}

TEST_CASE("bfloat16 is rounded as torch rounds it", "[mlp]") {
    auto x = draw({4099}).to(torch::kFloat) * 1e3;
    const float special[] = {0,        -0.0f,     1.00390625f, 1.01171875f, 3.4e38f,  // two ties
                             INFINITY, -INFINITY, NAN,         1e-40f,      -1e-45f};
    std::copy(std::begin(special), std::end(special), x.data_ptr<float>());
    const auto wanted = x.to(torch::kBFloat16), got = torch::empty_like(wanted);
    fmgs::detail::convert(x.const_data_ptr<float>(), x.numel(), got.data_ptr<c10::BFloat16>());
    REQUIRE(torch::equal(got.isnan(), wanted.isnan()));
    REQUIRE(torch::equal(got.nan_to_num(), wanted.nan_to_num()));
}

TEST_CASE("NaN and infinity pass through bfloat16 products", "[mlp]") {
    Both both(4, torch::kFloat);
    both.mlp->train_in(torch::kBFloat16);
    torch::NoGradGuard guard;
    for (const float bad : {NAN, INFINITY}) {
        both.x[1][2] = bad;
        const auto y = both.mlp->forward(both.x);
        REQUIRE_FALSE(y[1].isfinite().all().item<bool>());
        REQUIRE(y[0].isfinite().all().item<bool>());
    }
}

TEST_CASE("a second derivative of a network raises", "[mlp]") {
    Both both(4);
    const auto first =
        torch::autograd::grad({both.mlp->forward(both.x).sin().sum()}, {both.x}, {}, true, true)[0];
    REQUIRE(test::throws_error([&] { torch::autograd::grad({first.square().sum()}, {both.x}); },
                               "Mlp"));
}
