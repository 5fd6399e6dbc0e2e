#include <fmgs/data/synthetic/light.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fmgs {

SyntheticLight synthetic_light(const std::string& name) {
    if (name == "A")
        return {{0.36F, 0.36F, 0.38F},
                {{{-0.48F, -0.64F, -0.60F}, 0.58F, {1.0F, 0.97F, 0.92F}},
                 {{0.80F, -0.36F, 0.48F}, 0.26F, {0.90F, 1.0F, 1.05F}}}};
    if (name == "B")
        return {{0.20F, 0.22F, 0.26F},
                {{{0.80F, -0.36F, -0.48F}, 0.78F, {1.0F, 0.88F, 0.70F}},
                 {{-0.60F, -0.64F, 0.48F}, 0.40F, {0.70F, 0.85F, 1.10F}}}};
    throw Error(fmt::format("light: expected A or B, got '{}'", name));
}

SyntheticLight::Color SyntheticLight::on(const std::array<float, 3>& normal) const {
    Color out = ambient;
    for (const auto& lamp : lamps) {
        const auto& l = lamp.towards;
        const float cosine = l[0] * normal[0] + l[1] * normal[1] + l[2] * normal[2];
        const float share = lamp.strength * std::max(0.0F, cosine);
        for (size_t k = 0; k < 3; ++k) out[k] += lamp.color[k] * share;
    }
    return out;
}

torch::Tensor SyntheticLight::picture(int64_t rows) const {
    constexpr double kPi = std::numbers::pi;
    if (rows < 2) throw Error(fmt::format("light: rows: expected 2 or more, got {}", rows));
    const int64_t columns = 2 * rows;
    auto out = torch::tensor({ambient[0], ambient[1], ambient[2]}).repeat({rows, columns, 1});
    auto at = out.accessor<float, 3>();
    const auto solid_angle = [&](int64_t row) {
        const double step = kPi / static_cast<double>(rows);
        const auto top = static_cast<double>(row) * step;
        return step * (std::cos(top) - std::cos(top + step));
    };
    for (const auto& lamp : lamps) {
        const auto& l = lamp.towards;
        // Rows go down from straight up, columns to the right from what lies behind the camera.
        const double x = (std::atan2(l[0], l[2]) / (2 * kPi) + 0.5) * double(columns) - 0.5;
        const double y = std::acos(std::clamp(-double(l[1]), -1.0, 1.0)) / kPi * double(rows) - 0.5;
        for (int64_t dy = 0; dy < 2; ++dy) {
            for (int64_t dx = 0; dx < 2; ++dx) {
                const auto row = static_cast<int64_t>(std::floor(y)) + dy;
                const auto column = static_cast<int64_t>(std::floor(x)) + dx;
                const double share =
                    (1 - std::abs(y - double(row))) * (1 - std::abs(x - double(column)));
                const int64_t r = std::clamp<int64_t>(row, 0, rows - 1);
                const int64_t c = (column + columns) % columns;
                for (int64_t k = 0; k < 3; ++k)
                    at[r][c][k] += static_cast<float>(share * kPi * lamp.strength *
                                                      lamp.color[size_t(k)] / solid_angle(r));
            }
        }
    }
    return out;
}

}  // namespace fmgs
