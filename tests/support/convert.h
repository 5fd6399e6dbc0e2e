#pragma once
/// Captures before and after convert.
#include <fmgs/data/convert.h>

#include "support/test.h"

namespace fmgs::test {

inline const std::filesystem::path kCaptures =
    std::filesystem::path(FMGS_SOURCE_DIR) / "tests/data/captures";

inline CaptureOptions subject(const std::string& name) {
    CaptureOptions out;
    out.root = (kCaptures / name).string();
    out.body = (kCaptures / "body.npz").string();
    return out;
}

inline void require_same_maps(const TensorDict& got, const TensorDict& wanted, double color) {
    REQUIRE(got.size() == wanted.size());
    for (const auto& [name, map] : wanted) {
        INFO(name);
        const auto* other = got.find(name);
        REQUIRE(other);
        REQUIRE(other->sizes() == map.sizes());
        const auto away = (other->to(torch::kDouble) - map.to(torch::kDouble)).abs().max();
        REQUIRE(away.item<double>() <= (name == "color" ? color : 1e-6));
    }
}

/// The same but for descriptions and notes; `color`: how far colours may be apart.
inline void require_same_capture(const Capture& got, const Capture& wanted, double color) {
    REQUIRE_CLOSE(got.betas, wanted.betas, 0);
    REQUIRE(got.label_set == wanted.label_set);
    REQUIRE(got.splits.size() == wanted.splits.size());
    for (const auto& [split, frames] : wanted.splits) {
        INFO(split);
        REQUIRE(got.splits.contains(split));
        const auto& others = got.splits.at(split);
        REQUIRE(others.size() == frames.size());
        for (size_t i = 0; i < frames.size(); ++i) {
            const auto &a = others[i], &b = frames[i];
            INFO(b.name);
            REQUIRE(a.name == b.name);
            REQUIRE(a.index == b.index);
            REQUIRE_CLOSE(a.pose.rotations, b.pose.rotations, 1e-6);
            REQUIRE_CLOSE(a.pose.translation, b.pose.translation, 1e-6);
            REQUIRE_CLOSE(a.camera.rotation, b.camera.rotation, 1e-6);
            REQUIRE_CLOSE(a.camera.translation, b.camera.translation, 1e-6);
            REQUIRE_CLOSE(a.camera.intrinsics, b.camera.intrinsics, 1e-6);
            REQUIRE((a.camera.width == b.camera.width && a.camera.height == b.camera.height));
            require_same_maps(a.maps, b.maps, color);
            require_same_maps(a.truth, b.truth, color);
        }
    }
}

}  // namespace fmgs::test
