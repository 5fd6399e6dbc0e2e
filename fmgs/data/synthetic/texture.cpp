#include <fmgs/data/synthetic/texture.h>

#include <cmath>

namespace fmgs::detail {
namespace {

using Color = std::array<float, 3>;

bool band(float x, float period, float share) {
    const float phase = x / period - std::floor(x / period);
    return phase < share;
}

bool disc(float x, float y, float cx, float cy, float rx, float ry) {
    const float u = (x - cx) / rx, v = (y - cy) / ry;
    return u * u + v * v < 1;
}

Color shirt(const std::array<float, 3>& x, const Landmarks& at) {
    const float side = std::abs(x[0]) - std::abs(at.left_shoulder[0]);
    const float up = x[1] - at.chest[1];
    if (side < 0 && x[2] > at.chest[2]) {  // a badge with a ring on the heart's side
        const float bx = 0.55F * at.left_shoulder[0],
                    by = 0.5F * (at.chest[1] + at.left_shoulder[1]);
        if (disc(x[0], x[1], bx, by, 0.028F, 0.028F)) return {0.95F, 0.85F, 0.25F};
        if (disc(x[0], x[1], bx, by, 0.05F, 0.05F)) return {0.80F, 0.12F, 0.12F};
    }
    if (side < 0 && x[2] < at.chest[2] && std::abs(x[0]) < 0.09F && up > -0.12F && up < 0.06F) {
        return band(x[0], 0.06F, 0.5F) == band(up, 0.06F, 0.5F) ? Color{0.9F, 0.9F, 0.85F}
                                                                : Color{0.15F, 0.25F, 0.2F};
    }
    // across the trunk and around the sleeves
    const bool stripe = band(side > 0 ? side : up, 0.055F, 0.45F);
    return stripe ? Color{0.12F, 0.30F, 0.55F} : Color{0.88F, 0.86F, 0.80F};
}

Color trousers(const std::array<float, 3>& x, const Landmarks& at) {
    const float knee = x[1] - at.left_knee[1];
    if (x[2] > at.left_knee[2] && disc(std::abs(x[0]), knee, at.left_knee[0], 0.0F, 0.05F, 0.06F)) {
        return {0.42F, 0.36F, 0.50F};  // patches
    }
    const float turn = std::atan2(x[2] - at.left_knee[2], std::abs(x[0]) - at.left_knee[0]);
    if (std::abs(turn) < 0.25F && knee < 0.3F) return {0.70F, 0.60F, 0.30F};  // side seams
    const bool a = band(x[1], 0.07F, 0.5F), b = band(x[0], 0.07F, 0.5F);
    const float tone = 0.85F + (a ? 0.13F : 0.0F) + (b ? 0.10F : 0.0F);  // soft checks
    return {0.24F * tone, 0.26F * tone, 0.44F * tone};
}

Color skirt(const std::array<float, 3>& x, const Landmarks& at) {
    if (x[1] < at.left_knee[1] + 0.06F) return {0.92F, 0.78F, 0.30F};  // a border at the hem
    const float pleat = std::atan2(x[0], x[2]) * (15 / 3.14159265F);
    const float tone = band(pleat, 1.0F, 0.5F) ? 1.0F : 0.78F;
    return {0.72F * tone, 0.20F * tone, 0.30F * tone};
}

Color skin(int64_t label, const std::array<float, 3>& x, const Landmarks& at) {
    if (label == 23 || label == 24) return {0.70F, 0.33F, 0.32F};
    if (label == 2 && x[2] > at.head[2] + 0.03F) {
        const float skull = at.crown - at.head[1];
        const float up = x[1] - at.head[1], side = std::abs(x[0]);
        if (disc(side, up, 0.032F, 0.20F * skull, 0.014F, 0.009F)) return {0.18F, 0.12F, 0.10F};
        if (disc(side, up, 0.034F, 0.34F * skull, 0.022F, 0.006F)) return {0.30F, 0.20F, 0.14F};
        if (disc(side, up, 0.0F, -0.21F * skull, 0.026F, 0.010F)) return {0.70F, 0.33F, 0.32F};
    }
    const float tone = 1 + 0.04F * std::sin(23 * x[0] + 9 * x[1]) * std::sin(17 * x[1] - 12 * x[2]);
    return {0.84F * tone, 0.64F * tone, 0.53F * tone};
}

Color shoe(const std::array<float, 3>& x, const Landmarks& at) {
    if (x[1] < at.left_ankle[1] - 0.062F) return {0.25F, 0.22F, 0.22F};  // sole
    return band(x[2], 0.05F, 0.3F) ? Color{0.75F, 0.30F, 0.22F} : Color{0.90F, 0.90F, 0.88F};
}

}  // namespace

std::array<float, 3> reflectance(int64_t label, const std::array<float, 3>& x,
                                 const Landmarks& at) {
    switch (label) {
        case 22:
            return shirt(x, at);
        case 12:
            return trousers(x, at);
        case 1:
            return skirt(x, at);
        case 8:
        case 17:
            return shoe(x, at);
        case 3: {
            const float strand =
                0.85F + 0.25F * std::sin(210 * x[0] + 40 * x[1]) * std::sin(60 * x[2]);
            return {0.36F * strand, 0.23F * strand, 0.13F * strand};
        }
        default:
            return skin(label, x, at);
    }
}

}  // namespace fmgs::detail
