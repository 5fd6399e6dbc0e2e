#include <fmgs/losses/iso.h>

#include "support/losses.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

// Surfels on triangles that lie about at random.
std::shared_ptr<SurfelSetImpl> scattered(int64_t count) {
    return SurfelSet(
               Mesh{uniform({3 * count, 3}, -1, 1, 9), torch::arange(3 * count).view({-1, 3})})
        .ptr();
}

// A rotation about a slanted axis.
torch::Tensor turn() {
    const auto k =
        torch::tensor({0.0, -0.6, 0.3, 0.6, 0.0, -0.5, -0.3, 0.5, 0.0}, kDoubles).view({3, 3});
    return torch::matrix_exp(k);
}

LossScene surfels(const torch::Tensor& position, const torch::Tensor& scale,
                  const torch::Tensor& deformation) {
    LossScene scene(1, 1);
    const auto rotation = turn().expand({position.size(0), 3, 3});
    scene.canonical.position = position;
    scene.canonical.rotation = rotation;
    scene.canonical.scale = scale;
    scene.posed.center = torch::matmul(position, deformation.t()) + 0.3;
    scene.posed.tangents =
        torch::matmul(deformation, rotation.narrow(2, 0, 2) * scale.unsqueeze(1));
    return scene;
}

}  // namespace

TEST_CASE("a rigid motion costs nothing, stretching costs the change of distance", "[losses]") {
    const auto x = uniform({7, 3}, -1, 1, 1), s = uniform({7, 2}, 0.1, 0.5, 2);
    const auto set = scattered(7);
    IsoPositionLoss position(set);
    IsoCovarianceLoss covariance(set);
    auto rigid = surfels(x, s, turn());
    REQUIRE(rigid(position).item<double>() < 1e-12);
    auto stretched = surfels(x, s, 1.5 * torch::eye(3, kDoubles));
    const auto distance = (x.unsqueeze(1) - x.index({set->neighbours()})).norm(2, 2).mean();
    REQUIRE_CLOSE(stretched(position), 0.5 * distance, 1e-12);
    REQUIRE(surfels(x, s, torch::eye(3, kDoubles))(covariance).item<double>() < 1e-12);
    // The six entries of a symmetric matrix; a stretch by 1.5 multiplies them by 2.25.
    const auto t = stretched.canonical.rotation.narrow(2, 0, 2) * s.unsqueeze(1);
    const auto entries = torch::matmul(t, t.transpose(1, 2))
                             .flatten(1)
                             .index_select(1, torch::tensor({0, 1, 2, 4, 5, 8}, torch::kLong));
    const auto apart = (entries.unsqueeze(1) - entries.index({set->neighbours()})).norm(2, 2);
    REQUIRE_CLOSE(stretched(covariance), 1.25 * apart.mean(), 1e-12);
}

TEST_CASE("isometry has the right gradient on both sides, and a finite one for coinciding surfels",
          "[losses]") {
    const auto x = uniform({6, 3}, -1, 1, 1), s = uniform({6, 2}, 0.1, 0.5, 2);
    const auto set = scattered(6);
    IsoPositionLoss position(set);
    IsoCovarianceLoss covariance(set);
    const auto scene = surfels(x, s, 1.2 * turn());
    const auto error = gradient_error(
        [&](const std::vector<torch::Tensor>& v) {
            auto probe = scene;
            probe.canonical.position = v[0];
            probe.posed.center = v[1];
            probe.canonical.scale = v[2];
            probe.canonical.rotation = v[3];
            probe.posed.tangents = v[4];
            return probe(position) + probe(covariance);
        },
        {x, scene.posed.center, s, scene.canonical.rotation, scene.posed.tangents});
    REQUIRE(error < 1e-7);

    auto same = torch::zeros({6, 3}, kDoubles).requires_grad_(true);
    surfels(same, s, 2 * turn())(position).backward();
    REQUIRE(same.grad().isfinite().all().item<bool>());
}

TEST_CASE("isometry has no second derivative on a CPU, and says so", "[losses]") {
    IsoPositionLoss loss(scattered(5));
    const auto x = uniform({5, 3}, -1, 1, 1).requires_grad_(true);
    const auto scene = surfels(x, uniform({5, 2}, 0.1, 0.5, 2), 1.5 * turn());
    const auto gradient = torch::autograd::grad({scene(loss)}, {x}, {}, true, true)[0];
    REQUIRE(throws_error([&] { gradient.sum().backward(); }, "isometry: it has no second"));
}

TEST_CASE("isometry reads the neighbours that there are now, and owns nothing", "[losses]") {
    const auto set = scattered(7);
    IsoPositionLoss loss(set);
    const auto scene = surfels(uniform({7, 3}, -1, 1, 1), uniform({7, 2}, 0.1, 0.5, 2),
                               1.5 * torch::eye(3, kDoubles));
    const double before = scene(loss).item<double>();
    REQUIRE(before > 0);
    // as a checkpoint does it: every surfel its own neighbour
    set->named_buffers()["neighbours"].copy_(torch::arange(7).unsqueeze(1).expand({7, 4}));
    REQUIRE(scene(loss).item<double>() < 1e-9);
    REQUIRE(loss.parameters().empty());
    REQUIRE(loss.buffers().empty());
    REQUIRE(throws_error([] { IsoPositionLoss(nullptr); }, "expected surfels, got null"));
    REQUIRE(throws_error([] { IsoCovarianceLoss(nullptr); }, "expected surfels, got null"));
}
