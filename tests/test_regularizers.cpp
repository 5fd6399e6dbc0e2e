#include <fmgs/losses/regularizers.h>

#include "support/losses.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

torch::Tensor ring(int64_t count) {
    const auto i = torch::arange(count);
    return torch::stack({(i + 1) % count, (i + 2) % count}, 1);
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
    IsoPositionLoss position(ring(7));
    IsoCovarianceLoss covariance(ring(7));
    auto rigid = surfels(x, s, turn());
    REQUIRE(rigid(position).item<double>() < 1e-12);
    auto stretched = surfels(x, s, 1.5 * torch::eye(3, kDoubles));
    const auto distance = (x.unsqueeze(1) - x.index({ring(7)})).norm(2, 2).mean();
    REQUIRE_CLOSE(stretched(position), 0.5 * distance, 1e-12);
    REQUIRE(surfels(x, s, torch::eye(3, kDoubles))(covariance).item<double>() < 1e-12);
    REQUIRE(stretched(covariance).item<double>() > 0);
}

TEST_CASE("isometry has the right gradient on both sides, and a finite one for coinciding surfels",
          "[losses]") {
    const auto x = uniform({6, 3}, -1, 1, 1), s = uniform({6, 2}, 0.1, 0.5, 2);
    IsoPositionLoss position(ring(6));
    IsoCovarianceLoss covariance(ring(6));
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

TEST_CASE(
    "the skin loss is the mean squared difference to the template's weights, and owns no parameter",
    "[losses]") {
    struct EvenField : SkinningFieldImpl {
        using SkinningFieldImpl::SkinningFieldImpl;
        torch::Tensor forward(const torch::Tensor& x) override {
            return torch::full({x.size(0), 2}, 0.5, x.options());
        }
    };
    const Mesh tetrahedron{
        torch::tensor({0., 0., 0., 1., 0., 0., 0., 1., 0., 0., 0., 1.}).view({4, 3}),
        torch::tensor({0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3}).view({4, 3})};
    const auto weights = torch::tensor({1., 0.}).expand({4, 2});
    const SkinningFieldOptions options{.volume = {.levels = 2,
                                                  .features_per_level = 2,
                                                  .base_resolution = 4,
                                                  .finest_resolution = 8,
                                                  .log2_hashmap_size = 8},
                                       .hidden = 8,
                                       .layers = 1};
    const auto box = torch::tensor({-1., -1., -1., 2., 2., 2.}).view({2, 3});
    LossScene scene(1, 1);
    SkinLoss even(std::make_shared<EvenField>(options, box, 2), tetrahedron, weights);
    REQUIRE(scene(even).item<double>() == Approx(0.5));  // 0.5² twice
    REQUIRE(even.parameters().empty());

    auto field = std::make_shared<SkinningFieldImpl>(options, box, 2);
    SkinLoss loss(field, tetrahedron, weights);
    scene(loss).backward();
    double moved = 0;
    for (const auto& p : field->parameters())
        moved += p.grad().defined() ? p.grad().abs().sum().item<double>() : 0;
    REQUIRE(moved > 0);
    const double first = scene(loss).item<double>();
    REQUIRE(scene(loss).item<double>() == first);
}
