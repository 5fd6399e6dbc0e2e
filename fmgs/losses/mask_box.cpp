#include <fmgs/losses/mask_box.h>

#include <algorithm>
#include <utility>

namespace fmgs {

std::optional<Box> mask_box(const Frame& frame) {
    const auto* mask = frame.maps.find("mask");
    const auto fits = [&](const auto& named) {
        const auto sizes = named.second.sizes();
        return sizes.size() >= 2 && sizes.back() == frame.camera.width &&
               sizes[sizes.size() - 2] == frame.camera.height;
    };
    if (!mask || mask->dim() != 3 || mask->size(0) != 1) return std::nullopt;
    if (!std::all_of(frame.maps.begin(), frame.maps.end(), fits)) return std::nullopt;
    const auto box = box_around(mask->squeeze(0) > 0.5);
    if (box.is_empty()) return std::nullopt;
    return box;
}

Frame cut(Frame frame, const Box& box) {
    frame.camera = box.cut(frame.camera);
    const Maps whole = std::exchange(frame.maps, {});
    for (const auto& [name, map] : whole) frame.maps.set(name, box.cut(map));
    return frame;
}

}  // namespace fmgs
