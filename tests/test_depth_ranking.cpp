#include <fmgs/losses/depth_ranking.h>

#include "support/losses.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

// Every surfel seen at this cosine.
void show_normal(LossScene& scene, double cosine) {
    const auto& mask = scene.frame.maps.at("mask");
    auto normal = torch::zeros({3, mask.size(1), mask.size(2)}, kDoubles);
    normal[0].fill_(std::sqrt(1 - cosine * cosine));
    normal[2].fill_(-cosine);
    scene.rendered.set("normal", normal);
}

// Upper half one metre away, lower half one and a tenth; the prior in units of its own.
LossScene two_planes() {
    LossScene scene(8, 8);
    show_normal(scene, 1);
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
    const auto value = scene(loss);
    value.backward();
    REQUIRE(depth.grad()[0][0][0].abs().item<double>() > 0);
    // The pairs left are those with the one at 3 m, which is drawn at 1 m: equal to the upper half
    // (error 1) and nearer than the lower one, in the wrong order (error 1 + tanh 1).
    REQUIRE(value.item<double>() >= 1);

    prior[0][0][0] = NAN;
    prior[0][0][1] = 0;
    REQUIRE(std::isfinite(scene(loss).item<double>()));

    auto grazing = two_planes();
    show_normal(grazing, 0.1);
    DepthRankingLoss usual;
    REQUIRE(grazing(usual).item<double>() == 0);
    show_normal(grazing, 0.5);
    REQUIRE(grazing(usual).item<double>() > 0);
}

TEST_CASE("where the prior is 0 or not finite there is no depth to compare", "[losses]") {
    DepthRankingLoss loss;
    for (const bool static_shapes : {false, true}) {
        for (const double hole : {0.0, double(NAN), double(INFINITY)}) {
            auto scene = two_planes();
            scene.static_shapes = static_shapes;
            REQUIRE(scene(loss).item<double>() > 0);
            auto prior = scene.frame.maps.at("depth").clone();
            prior.narrow(1, 4, 4).fill_(hole);  // the upper half alone is left: all ties
            scene.frame.maps.set("depth", prior);
            REQUIRE(scene(loss).item<double>() == 0);
        }
    }
}

TEST_CASE("the depth loss reads the rendered normal, and never the prior's", "[losses]") {
    auto scene = two_planes();
    DepthRankingLoss usual, no_limit({.min_cosine = 0});
    const double without = scene(usual).item<double>();
    auto sideways = torch::zeros({3, 8, 8}, kDoubles);
    sideways[0].fill_(1);
    scene.frame.maps.set("normal", sideways);
    REQUIRE(scene(usual).item<double>() == without);
    REQUIRE(usual.needs() == std::vector<std::string>{"depth"});
    REQUIRE(usual.looks_at() == std::vector<std::string>{"normal"});
    REQUIRE(usual.targets() == std::vector<std::string>{"depth", "mask"});
    REQUIRE(no_limit.looks_at().empty());
    show_normal(scene, 0);
    REQUIRE(scene(usual).item<double>() == 0);
    REQUIRE(scene(no_limit).item<double>() > 0);
}

TEST_CASE("options of the depth loss that make no sense are refused", "[losses]") {
    for (const auto& options :
         {DepthRankingOptions{.pairs = 0}, DepthRankingOptions{.pairs = -1},
          DepthRankingOptions{.sharpness = 0}, DepthRankingOptions{.min_gap = -0.1},
          DepthRankingOptions{.min_cosine = 1}})
        REQUIRE(throws_error([&] { DepthRankingLoss{options}; }, ": expected a number "));
}

TEST_CASE("the gradient of the depth loss is right, and 0 without foreground", "[losses]") {
    LossScene scene(6, 6);
    show_normal(scene, 1);
    scene.frame.maps.set("depth", uniform({1, 6, 6}, 0.2, 1, 1));
    DepthRankingLoss loss({.pairs = 64});
    const auto depth = uniform({1, 6, 6}, 1, 1.2, 2);
    REQUIRE(scene.map_gradient_error(loss, "depth", depth) < 1e-8);
    scene.rendered.set("depth", depth);
    REQUIRE(scene.silent_without_foreground(loss, "depth"));
}

TEST_CASE("the same step draws the same pairs, another step others", "[losses]") {
    LossScene scene(6, 6);
    show_normal(scene, 1);
    scene.frame.maps.set("depth", uniform({1, 6, 6}, 0.2, 1, 1));
    scene.rendered.set("depth", uniform({1, 6, 6}, 1, 1.2, 2));
    DepthRankingLoss loss({.pairs = 16});
    const double first = scene(loss).item<double>();
    REQUIRE(scene(loss).item<double>() == first);
    scene.random.step = 8;
    REQUIRE(scene(loss).item<double>() != first);
}
