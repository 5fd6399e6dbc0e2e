#include <fmgs/core/random.h>
#include <fmgs/fields/subspace_projection.h>

#include "support/gradcheck.h"
#include "support/test.h"

using namespace fmgs;

namespace {

torch::Tensor draw(std::initializer_list<int64_t> shape, uint64_t seed = 3) {
    return torch::randn(shape, Random{seed}.generator("draw"), torch::kDouble);
}

/// Samples of rank 3 in 7 dimensions, of unequal spread, off the origin.
torch::Tensor samples(int64_t count = 20, int64_t rank = 3) {
    const auto spread = torch::arange(rank, 0, -1, torch::kDouble);
    return 2 + torch::matmul(draw({count, rank}) * spread, draw({rank, 7}, 4));
}

SubspaceProjection fitted(const torch::Tensor& x, int64_t rank, double sigmas = 2,
                          const torch::Tensor& weights = {}) {
    SubspaceProjection projection(x.size(1), rank, sigmas);
    projection->to(torch::kDouble);
    projection->fit(x, weights);
    return projection;
}

}  // namespace

TEST_CASE("three samples on a line: beyond two deviations the line ends, beside it is nothing",
          "[projection]") {
    const auto m = draw({7}), d = [] {
        const auto x = draw({7}, 5);
        return x / x.norm();
    }();
    const auto projection = fitted(torch::stack({m - d, m, m + d}), 4);
    REQUIRE(projection->deviation()[0].item<double>() == Approx(1).epsilon(1e-12));
    REQUIRE_CLOSE(projection->deviation().slice(0, 1), torch::zeros({3}), 0);
    REQUIRE(std::abs(projection->basis()[0].dot(d).item<double>()) == Approx(1).epsilon(1e-12));
    const auto at = [&](const torch::Tensor& x) {
        return projection->forward(x.unsqueeze(0)).squeeze(0);
    };
    REQUIRE_CLOSE(at(m + 5 * d), m + 2 * d, 1e-12);
    REQUIRE_CLOSE(at(m - 5 * d), m - 2 * d, 1e-12);
    REQUIRE_CLOSE(at(m + 0.5 * d), m + 0.5 * d, 1e-12);
    auto beside = draw({7}, 6);
    beside -= beside.dot(d) * d;
    REQUIRE_CLOSE(at(m + beside), m, 1e-12);
}

TEST_CASE("with all directions and no box, samples come back", "[projection]") {
    for (const auto& x : {samples(20, 3), samples(20, 7), samples(4, 7)}) {  // T > D, D > T
        const auto projection = fitted(x, 7, INFINITY);
        REQUIRE_CLOSE(projection->forward(x), x, 1e-10);
        REQUIRE(projection->limits().sum().item<double>() == INFINITY);
    }
    const auto anything = 100 * draw({5, 7}, 8);
    REQUIRE_CLOSE(fitted(samples(20, 7), 7, INFINITY)->forward(anything), anything, 1e-10);
}

TEST_CASE("a projection that is not fitted is the identity", "[projection]") {
    SubspaceProjection projection(7, 3);
    const auto x = (100 * draw({5, 7})).to(torch::kFloat);
    REQUIRE(torch::equal(projection->forward(x), x));
}

TEST_CASE("the directions are orthonormal, no more than samples span, largest first",
          "[projection]") {
    for (const auto& [count, rank, spanned] :
         {std::tuple(20, 3, 3), std::tuple(3, 5, 2), std::tuple(20, 7, 5)}) {
        const auto x = samples(count, rank);
        const auto projection = fitted(x, 5);
        auto expected = torch::zeros({5, 5}, torch::kDouble);
        expected.slice(0, 0, spanned).slice(1, 0, spanned).fill_diagonal_(1);
        const auto& basis = projection->basis();
        REQUIRE_CLOSE(torch::matmul(basis, basis.t()), expected, 1e-12);
        const auto& deviation = projection->deviation();
        REQUIRE((deviation.slice(0, 1) <= deviation.slice(0, 0, 4)).all().item<bool>());
        // the deviation of the samples themselves along each direction
        REQUIRE_CLOSE(deviation, projection->encode(x).std(0, /*unbiased=*/true), 1e-12);
    }
}

TEST_CASE("projecting again changes nothing, and the mean stays, with clipping as well",
          "[projection]") {
    const auto weights = torch::linspace(0.5, 3, 7, torch::kDouble);
    const auto projection = fitted(samples(20, 7), 4, 0.7, weights);
    const auto once = projection->forward(10 * draw({50, 7}, 9));
    const auto b = projection->encode(once).abs(), limit = projection->limits();
    REQUIRE((b <= limit * (1 + 1e-9)).all().item<bool>());  // of every output
    REQUIRE((b > 0.99 * limit).any().item<bool>());
    REQUIRE((b < 0.9 * limit).any().item<bool>());
    REQUIRE_CLOSE(projection->forward(once), once, 1e-12);
    const auto mean = projection->mean().unsqueeze(0);
    REQUIRE_CLOSE(mean, samples(20, 7).mean(0, true), 1e-12);
    REQUIRE(torch::equal(projection->forward(mean), mean));
}

TEST_CASE("what is left out are the variances of the other directions", "[projection]") {
    const auto x = samples(20, 7);
    const auto all = fitted(x, 7)->deviation().square();
    for (int64_t rank = 1; rank < 7; ++rank) {
        const auto lost = (fitted(x, rank, INFINITY)->forward(x) - x).square().sum();
        REQUIRE_CLOSE(lost, 19 * all.slice(0, rank).sum(), 1e-10);
    }
}

TEST_CASE("the gradient is that of the subspace, and zero along a clipped direction",
          "[projection]") {
    const auto projection = fitted(samples(20, 7), 3);
    const auto& S = projection->basis();
    const auto jacobian = [&](const torch::Tensor& at) {
        const auto x = at.clone().unsqueeze(0).requires_grad_(true);
        const auto y = projection->forward(x).squeeze(0);
        std::vector<torch::Tensor> rows;
        for (int64_t k = 0; k < 7; ++k)
            rows.push_back(torch::autograd::grad({y[k]}, {x}, {}, true)[0].squeeze(0));
        return torch::stack(rows);
    };
    const auto inside = projection->mean() + 0.1 * draw({7}, 5);
    REQUIRE_CLOSE(jacobian(inside), torch::matmul(S.t(), S), 1e-12);
    const auto clipped = inside + 9 * projection->deviation()[1] * S[1];
    const auto left = torch::stack({S[0], S[2]});
    REQUIRE_CLOSE(jacobian(clipped), torch::matmul(left.t(), left), 1e-12);
    REQUIRE(torch::matmul(jacobian(clipped), S[1]).abs().max().item<double>() < 1e-12);
}

TEST_CASE("one sample, or dimensions that never change, give their mean and no NaN",
          "[projection]") {
    const auto query = 5 * draw({4, 7}, 5);
    const auto one = draw({1, 7});
    for (const double sigmas : {2.0, double(INFINITY)}) {
        for (const auto& x : {one, one.expand({6, 7})}) {
            const auto projection = fitted(x, 4, sigmas);
            REQUIRE_CLOSE(projection->deviation(), torch::zeros({4}), 0);
            REQUIRE_CLOSE(projection->forward(query), one.expand({4, 7}), 1e-14);
        }
        auto x = samples(9, 7);
        x.slice(1, 2, 5).copy_(one.slice(1, 2, 5).expand({9, 3}));
        const auto out = fitted(x, 7, sigmas)->forward(query);
        REQUIRE_CLOSE(out.slice(1, 2, 5), one.slice(1, 2, 5).expand({4, 3}), 1e-12);
    }
}

TEST_CASE("weights count by their ratios, and choose the directions", "[projection]") {
    const auto x = samples(20, 7), query = 4 * draw({5, 7}, 6);
    const auto weights = torch::linspace(0.2, 4, 7, torch::kDouble);
    const auto y = fitted(x, 3, 2, weights)->forward(query);
    REQUIRE_CLOSE(fitted(x, 3, 2, 1000 * weights)->forward(query), y, 1e-10);
    REQUIRE(test::distance(fitted(x, 3)->forward(query), y) > 0.05);
    // a dimension that counts a thousandfold is kept to the point by the first direction
    auto one = torch::ones({7}, torch::kDouble);
    one[4] = 1000;
    const auto error = (fitted(x, 1, INFINITY, one)->forward(x) - x).abs().amax(0);
    REQUIRE(error[4].item<double>() < 1e-4);
    REQUIRE(error[0].item<double>() > 0.1);
}

TEST_CASE("a projection is copied and moved to another type with all that was fitted",
          "[projection]") {
    const auto x = samples(20, 7), query = 4 * draw({5, 7}, 6);
    const auto projection = fitted(x, 3, 1.5, torch::linspace(0.2, 4, 7, torch::kDouble));
    const auto copy = std::dynamic_pointer_cast<SubspaceProjectionImpl>(projection->clone());
    REQUIRE(torch::equal(copy->forward(query), projection->forward(query)));
    copy->to(torch::kFloat);
    REQUIRE_CLOSE(copy->forward(query.to(torch::kFloat)), projection->forward(query), 1e-5);
}

TEST_CASE("a projection refuses what it cannot be fitted to", "[projection]") {
    SubspaceProjection projection(7, 3);
    const auto refused = [&](const torch::Tensor& x, const torch::Tensor& w, const char* words) {
        return test::throws_error([&] { projection->fit(x, w); }, words);
    };
    REQUIRE(refused(torch::zeros({0, 7}), {}, "expected at least one, got none"));
    REQUIRE(refused(torch::zeros({4, 6}), {}, "expected [any,7], got [4,6]"));
    REQUIRE(refused(torch::full({4, 7}, NAN), {}, "expected finite samples"));
    REQUIRE(refused(torch::zeros({4, 7}), torch::zeros({7}), "weights above 0"));
    REQUIRE(test::throws_error([] { SubspaceProjection(7, 0); }, "got 7, 0 and 2"));
    REQUIRE(test::throws_error([] { SubspaceProjection(7, 1, 0); }, "sigmas above 0"));
}
