#include <fmgs/data/check/checked_frame.h>

#include <fmgs/data/priors.h>
#include <torch/types.h>

#include <algorithm>

namespace fmgs {

namespace {

constexpr size_t kWindow = 7, kWindows = 2;

}  // namespace

std::vector<size_t> checked_frames(size_t count) {
    std::vector<size_t> chosen;
    if (count <= kWindow * kWindows) {
        for (size_t i = 0; i < count; ++i) chosen.push_back(i);
        return chosen;
    }
    for (size_t w = 0; w < kWindows; ++w) {
        const size_t first = (count - kWindow) * w / (kWindows - 1);
        for (size_t i = 0; i < kWindow; ++i) chosen.push_back(first + i);
    }
    return chosen;
}

CheckedFrame thinned(const Frame& frame) {
    const auto& mask = frame.maps.at("mask");
    const int64_t larger = std::max(mask.size(-2), mask.size(-1));
    const int64_t n = (larger + kCheckedSize - 1) / kCheckedSize;
    const auto thin = [&](const torch::Tensor& map) { return shrink_nearest(map, n); };
    CheckedFrame out{frame.name, frame.camera, frame.pose, thin(mask)[0] >= 0.5, {}};
    out.camera.intrinsics = frame.camera.intrinsics / static_cast<double>(n);
    out.camera.width = mask.size(-1) / n;
    out.camera.height = mask.size(-2) / n;
    for (const char* name : {"normal", "depth", "semantic"}) {
        if (const auto* map = frame.maps.find(name)) out.priors.set(name, thin(*map));
    }
    return out;
}

}  // namespace fmgs
