#include <fmgs/losses/depth_ranking.h>

#include "support/losses.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

// Upper half one metre away, lower half one and a tenth; the prior in units of its own.
LossScene two_planes() {
    LossScene scene(8, 8);
    auto depth = torch::full({1, 8, 8}, 1.0, kDoubles);
    depth.narrow(1, 4, 4).fill_(1.1);
    scene.rendered.set("depth", depth);
    scene.frame.maps.set("depth", 3 * depth + 5);
    return scene;
}

}  // namespace

TEST_CASE("pairs in the right order cost 1 - tanh, in the wrong one 1 + tanh, ties nothing",
          "[losses]") {
    auto scene = two_planes();
    DepthRankingLoss loss;
    REQUIRE(scene(loss).item<double>() == Approx(1 - std::tanh(1.0)).epsilon(1e-9));
    scene.frame.maps.set("depth", 20 - 3 * scene.rendered.at("depth"));
    REQUIRE(scene(loss).item<double>() == Approx(1 + std::tanh(1.0)).epsilon(1e-9));
}

TEST_CASE("ignore leaves ordered pairs alone", "[losses]") {
    auto scene = two_planes();
    DepthRankingLoss loss({.satisfied = "ignore"});
    REQUIRE(scene(loss).item<double>() == 0);
    scene.frame.maps.set("depth", 20 - 3 * scene.rendered.at("depth"));
    REQUIRE(scene(loss).item<double>() == Approx(1 + std::tanh(1.0)).epsilon(1e-9));
    REQUIRE(throws_error([] { DepthRankingLoss({.satisfied = "pull"}); },
                         "expected push or ignore, got 'pull'"));
}

TEST_CASE("pairs closer than the gap, invalid priors and grazing pixels are dropped", "[losses]") {
    DepthRankingLoss loss({.min_gap = 0.5});
    auto scene = two_planes();
    auto prior = scene.frame.maps.at("depth").clone();
    // Range 2; the upper half's 1 and the lower half's 1.3 are too close to each other to be
    // ordered.
    prior.fill_(1.0);
    prior.narrow(1, 4, 4).fill_(1.3);
    prior[0][0][0] = 3;
    scene.frame.maps.set("depth", prior);
    auto depth = scene.rendered.at("depth").clone().requires_grad_(true);
    scene.rendered.set("depth", depth);
    scene(loss).backward();
    REQUIRE(depth.grad()[0][0][0].abs().item<double>() > 0);

    prior[0][0][0] = NAN;
    prior[0][0][1] = 0;
    REQUIRE(std::isfinite(scene(loss).item<double>()));

    auto normal = torch::zeros({3, 8, 8}, kDoubles);
    normal[0].fill_(1);
    normal[2].fill_(-0.1);
    auto grazing = two_planes();
    grazing.frame.maps.set("normal", normal);
    DepthRankingLoss usual;
    REQUIRE(grazing(usual).item<double>() == 0);
    normal[2].fill_(-0.5);
    REQUIRE(grazing(usual).item<double>() > 0);
}

TEST_CASE("the gradient of the depth loss is right, and 0 without foreground", "[losses]") {
    LossScene scene(6, 6);
    scene.frame.maps.set("depth", uniform({1, 6, 6}, 0.2, 1, 1));
    DepthRankingLoss loss({.pairs = 64});
    const auto depth = uniform({1, 6, 6}, 1, 1.2, 2);
    REQUIRE(scene.map_gradient_error(loss, "depth", depth) < 1e-8);
    scene.rendered.set("depth", depth);
    REQUIRE(scene.silent_without_foreground(loss, "depth"));
}

TEST_CASE("the same step draws the same pairs, another step others", "[losses]") {
    LossScene scene(6, 6);
    scene.frame.maps.set("depth", uniform({1, 6, 6}, 0.2, 1, 1));
    scene.rendered.set("depth", uniform({1, 6, 6}, 1, 1.2, 2));
    DepthRankingLoss loss({.pairs = 16});
    const double first = scene(loss).item<double>();
    REQUIRE(scene(loss).item<double>() == first);
    scene.random.step = 8;
    REQUIRE(scene(loss).item<double>() != first);
}
