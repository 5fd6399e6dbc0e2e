#pragma once
/// Directions, and lights that are functions of them.
#include <fmgs/core/random.h>
#include <fmgs/fields/environment_light.h>

#include <functional>

#include "support/test.h"

namespace fmgs::test {

/// Unit directions [count,3], double, all over the sphere.
inline torch::Tensor any_directions(int64_t count, uint64_t seed = 1) {
    const auto x = torch::randn({count, 3}, Random{seed}.generator("directions"), torch::kDouble);
    return x / x.norm(2, 1, true);
}

/// U(low, high) [count,columns], double.
inline torch::Tensor any_numbers(int64_t count, int64_t columns, double low, double high,
                                 uint64_t seed = 2) {
    return low + (high - low) * torch::rand({count, columns}, Random{seed}.generator("numbers"),
                                            torch::kDouble);
}

/// [rows,2·rows,3] double: f of the directions [M,3] gives [M] or [M,3].
inline torch::Tensor light_of(const std::function<torch::Tensor(const torch::Tensor&)>& f,
                              int64_t rows = 16) {
    auto value = f(texel_directions(rows));
    if (value.dim() == 1) value = value.unsqueeze(1).expand({-1, 3});
    return value.reshape({rows, 2 * rows, 3});
}

/// A light with lamps and colours, that no symmetry hides anything of.
inline torch::Tensor uneven_light(int64_t rows = 16) {
    return light_of(
        [](const torch::Tensor& w) {
            const auto x = w.select(1, 0), y = w.select(1, 1), z = w.select(1, 2);
            return torch::stack({0.5 + (3 * (0.8 * x + 0.6 * y)).exp() / 8,
                                 0.6 + y.square() + x * z, 0.6 + (4 * z).exp() / 20},
                                1);
        },
        rows);
}

inline torch::Tensor no_turn() { return torch::eye(3, torch::kDouble); }

/// A turn that carries column k of a picture of W columns to column k + columns.
inline torch::Tensor turn_by(double columns, double W) {
    const double angle = 2 * M_PI * columns / W, c = std::cos(angle), s = std::sin(angle);
    return torch::tensor({c, 0., -s, 0., 1., 0., s, 0., c}, torch::kDouble).view({3, 3});
}

}  // namespace fmgs::test
