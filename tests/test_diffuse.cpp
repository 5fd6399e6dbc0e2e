#include <fmgs/core/diffuse.h>

#include "support/gradcheck.h"
#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

const auto kDouble = torch::TensorOptions(torch::kDouble);

torch::Tensor unit_box() { return torch::tensor({{0.0, 0.0, 0.0}, {1.0, 1.0, 1.0}}, kDouble); }

/// All nodes of the plane x = `x` of an n³ grid over the unit box.
torch::Tensor plane(double x, int64_t n) {
    const auto line = torch::linspace(0, 1, n, kDouble);
    const auto yz = torch::cartesian_prod({line, line});
    return torch::cat({torch::full({n * n, 1}, x, kDouble), yz}, 1);
}

/// Points on a sphere of radius 0.3 about the box's centre with random smooth weights of 3 joints.
std::pair<torch::Tensor, torch::Tensor> weighted_sphere() {
    torch::manual_seed(4);
    const auto drawn = torch::randn({4000, 3}, kDouble);
    const auto directions = drawn / drawn.norm(2, 1, true);
    const auto weights = torch::softmax(3 * directions.matmul(torch::randn({3, 3}, kDouble)), 1);
    return {0.5 + 0.3 * directions, weights};
}

}  // namespace

TEST_CASE("between two plates weights change in a straight line") {
    const int64_t n = 17;
    const auto points = torch::cat({plane(0.25, n), plane(0.75, n)});
    const auto one = torch::ones({n * n, 1}, kDouble), none = torch::zeros({n * n, 1}, kDouble);
    const auto weights = torch::cat({torch::cat({one, none}), torch::cat({none, one})}, 1);
    const auto volume = diffuse_weights(points, weights, unit_box(), {.resolution = n});

    torch::manual_seed(1);
    const auto x = torch::rand({500, 3}, kDouble);
    const auto along = ((x.select(1, 0) - 0.25) / 0.5).clamp(0, 1);  // constant beyond the plates
    const auto expected = torch::stack({1 - along, along}, 1);
    CHECK((sample(volume, x) - expected).abs().max().item<double>() <= 1e-4);
}

TEST_CASE("diffused weights are shares, keep the surface and have no extreme off it") {
    const auto [points, weights] = weighted_sphere();
    const int64_t n = 24;
    const auto volume = diffuse_weights(points, weights, unit_box(), {.resolution = n});
    CHECK(volume.values.min().item<double>() >= 0);
    CHECK((volume.values.sum(0) - 1).abs().max().item<double>() <= 1e-12);
    for (int64_t j = 0; j < 3; ++j) {  // the maximum principle
        CHECK(volume.values[j].max().item<double>() <= weights.select(1, j).max().item<double>());
        CHECK(volume.values[j].min().item<double>() >=
              weights.select(1, j).min().item<double>() - 1e-9);
    }
    // A node of the surface has the mean of its own points.
    const auto node = ((points[0] * double(n - 1)).round()).to(torch::kLong);
    const auto near = ((points * double(n - 1)).round().to(torch::kLong) == node).all(1);
    const auto mean = weights.masked_select(near.unsqueeze(1)).view({-1, 3}).mean(0);
    const auto at = volume.values.index({torch::indexing::Slice(), node[2], node[1], node[0]});
    CHECK((at - mean).abs().max().item<double>() <= 1e-12);
    // Every other node has the mean of its neighbours.
    const auto v = volume.values;
    const auto inner = [&](int64_t z, int64_t y, int64_t x) {
        return v.narrow(1, 1 + z, n - 2).narrow(2, 1 + y, n - 2).narrow(3, 1 + x, n - 2);
    };
    const auto off = (inner(1, 0, 0) + inner(-1, 0, 0) + inner(0, 1, 0) + inner(0, -1, 0) +
                      inner(0, 0, 1) + inner(0, 0, -1) - 6 * inner(0, 0, 0))
                         .abs()
                         .amax(0);
    const auto grid = torch::zeros({n * n * n}, kDouble);
    const auto index = (points * double(n - 1)).round().to(torch::kLong);
    grid.index_fill_(0, (index.select(1, 2) * n + index.select(1, 1)) * n + index.select(1, 0), 1);
    const auto known =
        grid.view({n, n, n}).narrow(0, 1, n - 2).narrow(1, 1, n - 2).narrow(2, 1, n - 2) > 0;
    CHECK(off.masked_fill(known, 0).max().item<double>() <= 1e-4);
    CHECK(off.masked_select(known).max().item<double>() > 1e-2);
}

TEST_CASE("one joint has all the weight everywhere") {
    const auto points = weighted_sphere().first;
    const auto volume = diffuse_weights(points, torch::ones({points.size(0), 1}, kDouble),
                                        unit_box(), {.resolution = 9});
    CHECK(torch::equal(volume.values, torch::ones({1, 9, 9, 9}, kDouble)));
}

TEST_CASE("a volume is read trilinearly, with its gradient, and by its border outside") {
    torch::manual_seed(2);
    const Volume volume{torch::rand({2, 4, 4, 4}, kDouble),
                        torch::tensor({{-1.0, 0.0, 2.0}, {1.0, 3.0, 3.0}}, kDouble)};
    // the node along x = 2 of 3, y = 1 of 3, z = 3 of 3
    const auto node = torch::tensor({{-1 + 2 * 2.0 / 3, 1.0, 3.0}}, kDouble);
    CHECK((sample(volume, node)[0] - volume.values.select(1, 3).select(1, 1).select(1, 2))
              .abs()
              .max()
              .item<double>() <= 1e-12);
    const auto outside = torch::tensor({{9.0, -9.0, 9.0}}, kDouble);
    CHECK((sample(volume, outside)[0] - volume.values.select(1, 3).select(1, 0).select(1, 3))
              .abs()
              .max()
              .item<double>() <= 1e-12);
    const auto x = torch::tensor({{0.13, 1.21, 2.4}, {-0.72, 0.4, 2.85}}, kDouble);
    CHECK(gradient_error([&](const auto& v) { return sample(volume, v[0]).sin().sum(); }, {x}) <=
          1e-8);
}

TEST_CASE("diffusion names what it cannot use") {
    const auto [points, weights] = weighted_sphere();
    const auto refused = [&](const torch::Tensor& p, const DiffusionOptions& options,
                             const std::string& words) {
        return throws_error(
            [&] { diffuse_weights(p, weights.slice(0, 0, p.size(0)), unit_box(), options); },
            words);
    };
    CHECK(refused(points + 1, {}, "within the box"));
    CHECK(refused(points.slice(0, 0, 0), {}, "expected points, got none"));
    CHECK(refused(points, {.resolution = 2}, "4 to 512 nodes"));
    CHECK(refused(points, {.resolution = 24, .iterations = 2}, "after 2 iterations"));
}
