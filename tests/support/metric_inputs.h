#pragma once
/// Pictures and weights of networks by formula, as tests/data/make_metric_reference.py makes them.
#include <fmgs/eval/presets.h>

#include <cmath>

#include "support/test.h"

namespace fmgs::test {

/// Numbers in [0,1) of this shape: a 32-bit mix of their place and the salt. float64.
inline torch::Tensor mixed(uint32_t salt, torch::IntArrayRef shape) {
    auto out = torch::empty(shape, torch::kFloat64);
    auto* values = out.data_ptr<double>();
    for (int64_t i = 0; i < out.numel(); ++i) {
        auto x = static_cast<uint32_t>(i) * 2654435761U + salt * 40503U + 1U;
        x ^= x >> 16;
        x *= 2246822519U;
        x ^= x >> 13;
        x *= 3266489917U;
        x ^= x >> 16;
        values[i] = x / 4294967296.0;
    }
    return out;
}

/// A person-like ellipse of coloured waves and noise; what is "rendered" is a pixel to the right
/// and blurred at its rim. 96 × 80.
inline Compared reference_pictures() {
    constexpr int64_t kHeight = 96, kWidth = 80;
    const auto y = (torch::arange(kHeight, torch::kFloat64) + 0.5).view({-1, 1}),
               x = (torch::arange(kWidth, torch::kFloat64) + 0.5).view({1, -1}),
               c = torch::arange(3, torch::kFloat64).view({3, 1, 1});
    const auto base = 0.5 + 0.4 * torch::sin(0.3 * x + c) * torch::cos(0.21 * y - c);
    const auto ellipse = [&](double shift) {
        return (1 - torch::hypot((x - 38 - shift) / 20, ((y - 50) / 36))).unsqueeze(0);
    };
    const auto mask = (ellipse(0) > 0).to(torch::kFloat64),
               alpha = (0.5 + 10 * ellipse(1)).clamp(0, 1);
    const auto picture = [&](const torch::Tensor& cover, uint32_t salt) {
        return (cover * (0.8 * base + 0.2 * mixed(salt, {3, kHeight, kWidth}))).to(torch::kFloat32);
    };
    // The box of the body: rows 20 to 69 and columns 10 to 59 stand for it.
    auto box = torch::zeros({kHeight, kWidth}, torch::kBool);
    box.slice(0, 20, 70).slice(1, 10, 60).fill_(true);
    return {picture(alpha, 2), alpha.to(torch::kFloat32), picture(mask, 1),
            mask.to(torch::kFloat32), box};
}

/// Weights of a whole network: convolutions uniform in ±√(6/inputs), biases in ±0.1, linear ones in
/// [0,1).
inline TensorDict reference_weights(LpipsNetwork network) {
    using Shape = std::vector<int64_t>;
    const bool vgg = network == LpipsNetwork::vgg;
    const std::vector<Shape> convolutions =
        vgg ? std::vector<Shape>{{64, 3, 3, 3},    {64, 64, 3, 3},   {128, 64, 3, 3},
                                 {128, 128, 3, 3}, {256, 128, 3, 3}, {256, 256, 3, 3},
                                 {256, 256, 3, 3}, {512, 256, 3, 3}, {512, 512, 3, 3},
                                 {512, 512, 3, 3}, {512, 512, 3, 3}, {512, 512, 3, 3},
                                 {512, 512, 3, 3}}
            : std::vector<Shape>{{64, 3, 11, 11},
                                 {192, 64, 5, 5},
                                 {384, 192, 3, 3},
                                 {256, 384, 3, 3},
                                 {256, 256, 3, 3}};
    const auto taps = vgg ? Shape{64, 128, 256, 512, 512} : Shape{64, 192, 384, 256, 256};
    TensorDict out;
    uint32_t salt = 100;
    for (size_t k = 0; k < convolutions.size(); ++k) {
        const auto& shape = convolutions[k];
        const double bound = std::sqrt(6.0 / static_cast<double>(shape[1] * shape[2] * shape[3]));
        const auto name = "conv." + std::to_string(k);
        out.set(name + ".weight", ((2 * mixed(salt, shape) - 1) * bound).to(torch::kFloat32));
        out.set(name + ".bias", (0.1 * (2 * mixed(salt + 1, {shape[0]}) - 1)).to(torch::kFloat32));
        salt += 2;
    }
    for (size_t k = 0; k < taps.size(); ++k)
        out.set("linear." + std::to_string(k),
                mixed(salt + static_cast<uint32_t>(k), {taps[k]}).to(torch::kFloat32));
    return out;
}

inline Lpips reference_network(LpipsNetwork network) {
    return Lpips(network, reference_weights(network));
}

}  // namespace fmgs::test
