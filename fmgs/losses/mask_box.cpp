#include <fmgs/losses/mask_box.h>

#include <algorithm>

namespace fmgs {

std::optional<MaskBox> MaskBox::of(const Frame& frame) {
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
    return MaskBox(box, frame);
}

MaskBox::MaskBox(const Box& box, const Frame& whole) : box_(box), frame_(whole) {
    frame_.camera = box.cut(whole.camera);
    for (const auto& [name, map] : whole.maps) frame_.maps.set(name, box.cut(map));
}

Maps MaskBox::cut(const Maps& maps) {
    Maps out;
    for (const auto& [name, map] : maps) {
        auto& part = parts_[map.unsafeGetTensorImpl()];
        if (!part.defined()) part = box_.cut(map);
        out.set(name, part);
    }
    return out;
}

}  // namespace fmgs
