// The sources of the fused SSIM, run on the CPU (cuda_shim/): against the matrix products of the
// CPU, in every order of threads.
#include <cuda_runtime.h>
#include <fmgs/losses/photometric.h>

#include "cuda_shim/ssim.h"
#include "support/losses.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

/// Two similar pictures.
std::pair<torch::Tensor, torch::Tensor> pictures(torch::IntArrayRef shape, uint64_t seed = 1) {
    const auto x = uniform(shape, 0.1, 0.9, seed);
    return {x, (x + uniform(shape, -0.2, 0.2, seed + 1)).clamp(0, 1)};
}

struct Result {
    torch::Tensor value, x, y;
};

/// Mean of 1 - SSIM and its gradients.
template <class F>
Result differentiate(F&& f, const torch::Tensor& x, const torch::Tensor& y) {
    auto a = x.clone().requires_grad_(true), b = y.clone().requires_grad_(true);
    const auto value = f(a, b);
    const auto g = torch::autograd::grad({value}, {a, b});
    return {value.detach(), g[0], g[1]};
}

Result on_cpu(const torch::Tensor& x, const torch::Tensor& y) {
    return differentiate([](const auto& a, const auto& b) { return 1 - ssim(a, b); }, x, y);
}
Result on_device(const torch::Tensor& x, const torch::Tensor& y) {
    return differentiate(
        [](const auto& a, const auto& b) { return shim_dissimilarity(a, b) / double(a.numel()); },
        x, y);
}

double relative(const torch::Tensor& ours, const torch::Tensor& theirs) {
    if (ours.sizes() != theirs.sizes()) return INFINITY;
    const double gap = (ours - theirs).abs().max().item<double>();
    return std::isfinite(gap) ? gap / std::max(theirs.abs().max().item<double>(), 1e-30) : INFINITY;
}

double difference(const Result& ours, const Result& theirs) {
    return std::max({relative(ours.value, theirs.value), relative(ours.x, theirs.x),
                     relative(ours.y, theirs.y)});
}

}  // namespace

TEST_CASE("the fused SSIM is the SSIM of the CPU, in value and gradients", "[losses]") {
    // Smaller than the window and a tile, exactly a tile, whole tiles, tiles and a bit.
    for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{
             {1, 1}, {3, 40}, {16, 32}, {32, 64}, {17, 33}, {61, 75}}) {
        for (const int64_t channels : {1, 3}) {
            CAPTURE(channels, height, width);
            const auto [x, y] = pictures({channels, height, width});
            REQUIRE(difference(on_device(x, y), on_cpu(x, y)) <= 1e-12);
        }
    }
}

TEST_CASE("black surroundings are left out without a trace", "[losses]") {
    auto [x, y] = pictures({3, 90, 130});
    const auto black_but = [](const torch::Tensor& image, int64_t top, int64_t left) {
        auto out = torch::zeros_like(image);
        out.narrow(1, top, 9)
            .narrow(2, left, 11)
            .copy_(image.narrow(1, top, 9).narrow(2, left, 11));
        return out;
    };
    // Two boxes, one across the corner of four tiles, the other beside an edge.
    x = black_but(x, 28, 60);
    y = black_but(y, 33, 64);
    REQUIRE(difference(on_device(x, y), on_cpu(x, y)) <= 1e-12);
    REQUIRE(shim_dissimilarity(x, x).item<double>() == 0);
    const auto black = on_device(0 * x, 0 * y);
    REQUIRE(black.value.item<double>() == 0);
    REQUIRE(black.x.abs().max().item<double>() == 0);
}

TEST_CASE("the fused SSIM in float is as exact as the CPU's", "[losses]") {
    const auto [noisy, other] = pictures({3, 61, 75}, 4);
    const auto single = [](const torch::Tensor& x) { return x.to(torch::kFloat); };
    // In flat pictures the variance, 1e-4, is the small difference of large numbers.
    for (const double contrast : {1.0, 0.02}) {
        const auto x = 0.5 + contrast * (noisy - 0.5), y = 0.5 + contrast * (other - 0.5);
        const auto exact = on_cpu(x, y);
        const double worst = difference(on_device(single(x), single(y)), exact),
                     of_host = difference(on_cpu(single(x), single(y)), exact);
        CAPTURE(contrast, worst, of_host);
        REQUIRE(worst <= (contrast == 1 ? 1e-5 : 1e-3));
        REQUIRE(worst <= 3 * of_host);
    }
}

TEST_CASE("the gradient of the fused SSIM is right by central differences", "[losses]") {
    const auto [x, y] = pictures({2, 7, 9});
    const auto f = [](const std::vector<torch::Tensor>& in) {
        return shim_dissimilarity(in[0], in[1]);
    };
    REQUIRE(gradient_error(f, {x, y}) < 1e-7);
}

TEST_CASE("no result of SSIM depends on the order of threads", "[losses]") {
    auto [a, b] = pictures({3, 37, 53}, 5);
    const auto x = a.to(torch::kFloat), y = b.to(torch::kFloat);
    Result first;
    for (const uint64_t seed : {0, 1, 2, 3}) {
        cuda_shim::set_schedule(seed);
        const auto result = on_device(x, y);
        if (!first.value.defined()) first = result;
        REQUIRE(torch::equal(result.value, first.value));
        REQUIRE(torch::equal(result.x, first.x));
        REQUIRE(torch::equal(result.y, first.y));
    }
    cuda_shim::set_schedule(0);
}

TEST_CASE("a gradient of one picture alone costs no more than it has to", "[losses]") {
    const auto [x, y] = pictures({1, 20, 20});
    const auto expected = on_cpu(x, y);
    const auto launches_of = [&](bool of_x, bool of_y) {
        const int64_t before = cuda_shim::launches();
        auto a = x.clone().requires_grad_(of_x), b = y.clone().requires_grad_(of_y);
        const auto value = shim_dissimilarity(a, b) / double(x.numel());
        if (of_x || of_y) value.backward();
        if (of_x) REQUIRE(relative(a.grad(), expected.x) <= 1e-12);
        if (of_y) REQUIRE(relative(b.grad(), expected.y) <= 1e-12);
        return cuda_shim::launches() - before;
    };
    REQUIRE(launches_of(false, false) == 1);
    REQUIRE(launches_of(true, false) == 2);
    REQUIRE(launches_of(false, true) == 3);
}

TEST_CASE("pictures may lie in memory in any order", "[losses]") {
    const auto [x, y] = pictures({20, 30, 3});
    const auto a = x.permute({2, 0, 1}), b = y.permute({2, 0, 1});
    REQUIRE(difference(on_device(a, b), on_cpu(a, b)) <= 1e-12);
}

TEST_CASE("a NaN in a picture is not hidden", "[losses]") {
    auto [x, y] = pictures({1, 40, 70});
    x.zero_();
    y.zero_();
    x[0][30][60] = NAN;
    REQUIRE(std::isnan(shim_dissimilarity(x, y).item<double>()));
}

TEST_CASE("a second derivative of the fused SSIM raises", "[losses]") {
    const auto [x, y] = pictures({1, 6, 6});
    auto a = x.clone().requires_grad_(true);
    const auto first =
        torch::autograd::grad({shim_dissimilarity(a, y)}, {a}, {}, true, /*create_graph=*/true)[0];
    REQUIRE(throws_error([&] { first.sum().backward(); }, "no second derivative"));
}

TEST_CASE("what the fused SSIM cannot do is refused", "[losses]") {
    const auto [x, y] = pictures({1, 6, 6});
    REQUIRE(throws_error([&] { shim_dissimilarity_entry(x, y); },
                         "ssim: expected float on a GPU, got Double"));
    REQUIRE(throws_error([&] { shim_dissimilarity(x, y.to(torch::kFloat)); }, "got Float"));
    REQUIRE(throws_error([&] { shim_dissimilarity(x, y.narrow(1, 0, 5)); },
                         "second picture: expected [1,6,6], got [1,5,6]"));
    const auto single = x.to(torch::kFloat);
    REQUIRE(shim_dissimilarity_entry(single, single).item<float>() == 0);
}
