#include <fmgs/losses/mask.h>

#include "support/losses.h"

using namespace fmgs;
using namespace fmgs::test;

TEST_CASE("the mask loss is the binary cross-entropy over all pixels", "[losses]") {
    LossScene scene(6, 7);
    MaskLoss loss;
    scene.rendered.set("alpha", torch::full({1, 6, 7}, 0.5, kDoubles));
    REQUIRE(scene(loss).item<double>() == Approx(std::log(2.0)));
    const auto alpha = uniform({1, 6, 7}, 0.05, 0.95, 1);
    const auto mask = (uniform({1, 6, 7}, 0, 1, 2) > 0.5).to(torch::kDouble);
    scene.frame.maps.set("mask", mask);
    scene.rendered.set("alpha", alpha);
    REQUIRE_CLOSE(scene(loss), torch::binary_cross_entropy(alpha, mask), 1e-12);
    REQUIRE(scene.map_gradient_error(loss, "alpha", alpha) < 1e-8);
}

TEST_CASE("the mask loss counts what is drawn far from the person", "[losses]") {
    LossScene scene(12, 10);
    MaskLoss loss;
    auto mask = torch::zeros({1, 12, 10}, kDoubles);
    mask.narrow(1, 5, 3).narrow(2, 4, 2).fill_(1);
    scene.frame.maps.set("mask", mask);
    const auto alpha = (0.02 + 0.9 * mask).requires_grad_(true);
    scene.rendered.set("alpha", alpha);
    REQUIRE_CLOSE(scene(loss), torch::binary_cross_entropy(alpha, mask), 1e-12);
    scene(loss).backward();
    // d/dα of -log(1-α)/P, in every corner too
    REQUIRE_CLOSE(alpha.grad()[0][0], torch::full({10}, 1 / 0.98 / 120, kDoubles), 1e-12);
    auto blot = alpha.detach().clone();
    blot[0][11][0] = 0.9;
    scene.rendered.set("alpha", blot);
    const double more = std::log(0.98 / 0.1) / 120;
    REQUIRE_CLOSE(scene(loss), torch::binary_cross_entropy(alpha.detach(), mask) + more, 1e-12);
}

TEST_CASE("an alpha of 0 or 1 on the wrong side costs log 1000 and has a finite gradient",
          "[losses]") {
    LossScene scene(2, 2);
    MaskLoss loss;
    auto alpha = torch::tensor({0.0, 1.0, 0.0, 1.0}, kDoubles).view({1, 2, 2}).requires_grad_(true);
    scene.frame.maps.set("mask", 1 - alpha.detach());
    scene.rendered.set("alpha", alpha);
    const auto value = scene(loss);
    REQUIRE(value.item<double>() == Approx(std::log(1000.0)));
    value.backward();
    REQUIRE((alpha.grad() == 0).all().item<bool>());
}
