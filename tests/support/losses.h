#pragma once
/// What a loss sees, made by hand: fill the parts a test needs.
#include <fmgs/losses/loss.h>

#include "support/gradcheck.h"
#include "support/test.h"

namespace fmgs::test {

inline const auto kDoubles = torch::TensorOptions(torch::kDouble);

struct LossScene {
    Surfels canonical;
    PosedSurfels posed;
    Maps rendered;
    Frame frame;
    Random random{.seed = 3, .step = 7};
    bool static_shapes = false;

    /// An H×W picture, wholly inside mask and alpha.
    LossScene(int64_t height, int64_t width) {
        frame.name = "f0";
        frame.maps.set("mask", torch::ones({1, height, width}, kDoubles));
        rendered.set("alpha", torch::ones({1, height, width}, kDoubles));
        frame.camera.rotation = torch::eye(3, kDoubles);
        frame.camera.translation = torch::zeros({3}, kDoubles);
        frame.camera.intrinsics =
            torch::tensor({20.0, 22.0, 0.5 * double(width) + 0.3, 0.5 * double(height)}, kDoubles);
        frame.camera.width = width;
        frame.camera.height = height;
    }
    torch::Tensor operator()(Loss& loss) const {
        return loss.forward({canonical, posed, rendered, frame, random, static_shapes});
    }
    /// Largest gradient error of the loss in the rendered map `name`, at `value`.
    double map_gradient_error(Loss& loss, const std::string& name, const torch::Tensor& value,
                              double step = 1e-6) {
        return gradient_error(
            [&](const std::vector<torch::Tensor>& x) {
                rendered.set(name, x[0]);
                return (*this)(loss);
            },
            {value}, step);
    }
    /// A frame without any foreground gives 0 and a gradient of 0.
    bool silent_without_foreground(Loss& loss, const std::string& name) {
        frame.maps.set("mask", torch::zeros_like(frame.maps.at("mask")));
        auto leaf = rendered.at(name).detach().clone().requires_grad_(true);
        rendered.set(name, leaf);
        const auto value = (*this)(loss);
        value.backward();
        return value.item<double>() == 0 && leaf.grad().defined() &&
               (leaf.grad() == 0).all().item<bool>();
    }
};

/// Uniform numbers in [low, high), seeded.
inline torch::Tensor uniform(torch::IntArrayRef shape, double low, double high, uint64_t seed = 1) {
    return torch::rand(shape, Random{.seed = seed}.generator("test"), kDoubles) * (high - low) +
           low;
}

}  // namespace fmgs::test
