#include <fmgs/losses/semantic.h>

#include "support/losses.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

// Logits whose argmax over classes ≥ 1 is `classes`.
torch::Tensor logits_of(const std::vector<int64_t>& classes, int64_t count) {
    auto logits = torch::zeros({int64_t(classes.size()), count}, kDoubles);
    for (size_t i = 0; i < classes.size(); ++i) logits[int64_t(i)][classes[i]] = 1;
    logits.select(1, 0).fill_(5);  // background never wins
    return logits;
}

}  // namespace

TEST_CASE("even logits cost log K, and only labelled pixels of the mask count", "[losses]") {
    LossScene scene(4, 5);
    SemanticLoss loss;
    auto logits = torch::zeros({6, 4, 5}, kDoubles);
    auto labels = torch::full({4, 5}, 2, torch::kLong);
    labels[0].fill_(0);
    logits.select(1, 0).copy_(uniform({6, 5}, -9, 9));
    scene.frame.maps.set("semantic", labels);
    scene.rendered.set("semantic", logits);
    REQUIRE(scene(loss).item<double>() == Approx(std::log(6.0)));
    REQUIRE(scene.map_gradient_error(loss, "semantic", uniform({6, 4, 5}, -2, 2, 1)) < 1e-8);
    scene.rendered.set("semantic", logits);
    REQUIRE(scene.silent_without_foreground(loss, "semantic"));
}

TEST_CASE("trap 20: a label that is no class counts as little as the background", "[losses]") {
    LossScene scene(2, 3);
    scene.rendered.set("semantic", uniform({6, 2, 3}, -2, 2, 1));
    SemanticLoss loss;
    for (const bool static_shapes : {false, true}) {
        scene.static_shapes = static_shapes;
        for (const auto type : {torch::kLong, torch::kByte}) {
            const auto labels = torch::tensor({1, 5, 0, 3, 0, 0}, type).view({2, 3});
            const auto odd = torch::tensor({1, 5, 6, 3, 255, 6}, type).view({2, 3});
            scene.frame.maps.set("semantic", labels);
            const double expected = scene(loss).item<double>();
            REQUIRE(expected > 0);
            scene.frame.maps.set("semantic", odd);
            REQUIRE(scene(loss).item<double>() == expected);
        }
        scene.frame.maps.set("semantic", torch::full({2, 3}, -1, torch::kLong));
        REQUIRE(scene(loss).item<double>() == 0);
    }
}

TEST_CASE("the region loss is the mean over classes of the mean squared distance of pairs",
          "[losses]") {
    const std::vector<int64_t> classes = {1, 3, 1, 1, 3, 4};
    LossScene scene(1, 1);
    const auto f = uniform({6, 8}, -1, 1, 1);
    scene.canonical.features.set("semantic", logits_of(classes, 6));
    scene.canonical.latents.set("semantic", f);
    SemanticSmoothnessLoss loss;
    double expected = 0;
    for (const int64_t c : {1, 3, 4}) {
        double sum = 0, count = 0;
        for (int64_t i = 0; i < 6; ++i) {
            if (classes[size_t(i)] != c) continue;
            count += 1;
            for (int64_t j = 0; j < 6; ++j) {
                if (classes[size_t(j)] == c) sum += (f[i] - f[j]).square().sum().item<double>();
            }
        }
        expected += sum / (count * count) / 3;
    }
    REQUIRE(scene(loss).item<double>() == Approx(expected).epsilon(1e-12));
    const auto error = gradient_error(
        [&](const std::vector<torch::Tensor>& x) {
            scene.canonical.latents.set("semantic", x[0]);
            return scene(loss);
        },
        {f});
    REQUIRE(error < 1e-8);
}
