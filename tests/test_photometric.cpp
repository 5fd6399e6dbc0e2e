#include <fmgs/losses/photometric.h>

#include "support/losses.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

// SSIM as written in the paper of Wang et al., by convolution over the whole picture.
torch::Tensor reference_ssim(const torch::Tensor& x, const torch::Tensor& y) {
    auto g = torch::exp(-torch::arange(-5, 6, kDoubles).square() / (2 * 1.5 * 1.5));
    g = g / g.sum();
    const auto window = torch::outer(g, g).view({1, 1, 11, 11});
    const auto blur = [&](const torch::Tensor& t) {
        return torch::conv2d(t.unsqueeze(1), window, {}, 1, 5);
    };
    const auto mx = blur(x), my = blur(y);
    const auto vx = blur(x * x) - mx * mx, vy = blur(y * y) - my * my, cov = blur(x * y) - mx * my;
    return (((2 * mx * my + 1e-4) * (2 * cov + 9e-4)) /
            ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4)))
        .mean();
}

// A picture that is black but for a box.
torch::Tensor boxed(int64_t height, int64_t width, uint64_t seed) {
    auto x = torch::zeros({3, height, width}, kDoubles);
    x.narrow(1, 20, 6).narrow(2, 17, 9).copy_(uniform({3, 6, 9}, 0.1, 0.9, seed));
    return x;
}

torch::Tensor gradient(torch::Tensor (*f)(const torch::Tensor&, const torch::Tensor&),
                       torch::Tensor x, const torch::Tensor& y) {
    x = x.clone().requires_grad_(true);
    f(x, y).backward();
    return x.grad();
}

}  // namespace

TEST_CASE("ssim equals the convolution over the whole picture, in value and gradient", "[losses]") {
    const auto x = uniform({3, 17, 23}, 0, 1, 1), y = uniform({3, 17, 23}, 0, 1, 2);
    REQUIRE_CLOSE(ssim(x, y), reference_ssim(x, y), 1e-12);
    REQUIRE_CLOSE(gradient(ssim, x, y), gradient(reference_ssim, x, y), 1e-12);
}

TEST_CASE("leaving out the black surroundings changes neither ssim nor its gradient", "[losses]") {
    const auto x = boxed(48, 50, 1), y = boxed(48, 50, 2).roll(3, 2);
    REQUIRE_CLOSE(ssim(x, y), reference_ssim(x, y), 1e-12);
    REQUIRE_CLOSE(gradient(ssim, x, y), gradient(reference_ssim, x, y), 1e-12);
    REQUIRE(ssim(x, x).item<double>() == 1);
    REQUIRE(ssim(0 * x, 0 * x).item<double>() == 1);
}

TEST_CASE("the photometric loss is 0.8 L1 + 0.2 (1 - SSIM) against the picture on black",
          "[losses]") {
    LossScene scene(12, 14);
    const auto image = uniform({3, 12, 14}, 0, 1, 1), color = uniform({3, 12, 14}, 0, 1, 2);
    scene.frame.maps.set("color", image);
    PhotometricLoss loss;
    scene.rendered.set("color", color);
    const auto expected =
        0.8 * (color - image).abs().mean() + 0.2 * (1 - reference_ssim(color, image));
    REQUIRE_CLOSE(scene(loss), expected, 1e-12);
    REQUIRE(scene.map_gradient_error(loss, "color", color) < 1e-8);
    scene.rendered.set("color", image);
    REQUIRE(scene(loss).item<double>() < 1e-12);
}

TEST_CASE("one photometric loss serves pictures of different sizes and types", "[losses]") {
    PhotometricLoss loss({.ssim = 1});
    for (const auto size : {20, 8, 30}) {
        LossScene scene(size, size + 3);
        const auto x = uniform({3, size, size + 3}, 0, 1, 1),
                   y = uniform({3, size, size + 3}, 0, 1, 2);
        scene.frame.maps.set("color", y);
        scene.rendered.set("color", x);
        REQUIRE_CLOSE(scene(loss), 1 - reference_ssim(x, y), 1e-12);
        scene.rendered.set("color", x.to(torch::kFloat));
        REQUIRE(scene(loss).scalar_type() == torch::kFloat);
    }
}

TEST_CASE("a picture of another size is refused by name", "[losses]") {
    LossScene scene(12, 14);
    scene.rendered.set("color", uniform({3, 12, 14}, 0, 1));
    scene.frame.maps.set("color", uniform({3, 12, 13}, 0, 1));
    PhotometricLoss loss;
    REQUIRE(throws_error([&] { scene(loss); },
                         "map 'color' of frame 'f0': expected [3,12,14], got [3,12,13]"));
}
