#include <fmgs/data/cache/compact_frame.h>

#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace fmgs {

namespace {

/// A multiple of 4, 9 and 16: means of so many zeros and ones (masks under data.downscale 2, 3 and
/// 4) come back to the bit, and a half stays one.
constexpr int64_t kLevels = 65520;

/// The map times 255 as bytes; undefined when a value is not exactly a 255th.
torch::Tensor as_bytes(const torch::Tensor& map) {
    const auto from = map.cpu().contiguous();
    auto out = torch::empty_like(from, torch::kByte);
    const auto* x = from.const_data_ptr<float>();
    auto* bytes = out.mutable_data_ptr<uint8_t>();
    for (int64_t i = 0; i < from.numel(); ++i) {
        if (!(x[i] >= 0 && x[i] <= 1)) return {};
        const auto k = static_cast<uint8_t>(x[i] * 255 + 0.5F);
        if (static_cast<float>(k) / 255 != x[i]) return {};
        bytes[i] = k;
    }
    return out;
}

torch::Tensor in_few_bytes(const std::string& name, const torch::Tensor& map) {
    if (map.numel() == 0) return map;
    if (map.scalar_type() == torch::kLong) {
        const bool fits = map.min().item<int64_t>() >= 0 && map.max().item<int64_t>() <= 255;
        return fits ? map.to(torch::kByte) : map;
    }
    if (map.scalar_type() != torch::kFloat) return map;
    if (auto bytes = as_bytes(map); bytes.defined()) return bytes;
    constexpr double kLargestHalf = 65504;
    const double low = map.min().item<double>(), high = map.max().item<double>();
    if (name == "depth" || !(low >= -kLargestHalf && high <= kLargestHalf)) return map;
    return low >= 0 && high <= 1 ? (map * kLevels).round().sub(32768).to(torch::kShort)
                                 : map.to(torch::kHalf);
}

torch::Tensor as_it_was(const CompactMap& map) {
    const auto out = map.stored.to(map.type);
    if (map.type != torch::kFloat) return out;
    if (map.stored.scalar_type() == torch::kByte) return out.div(255);
    return map.stored.scalar_type() == torch::kShort ? out.add(32768).div(kLevels) : out;
}

/// Place in `maps` of the one that shares this tensor; maps.size(): none.
size_t twin_of(const std::vector<CompactMap>& maps, const CompactMap& map) {
    const auto found = std::find_if(maps.begin(), maps.end(), [&](const CompactMap& other) {
        return other.stored.is_same(map.stored);
    });
    return static_cast<size_t>(found - maps.begin());
}

}  // namespace

size_t CompactFrame::bytes() const {
    size_t sum = 0;
    for (const auto& map : maps) sum += map.stored.nbytes();
    for (const auto& map : truth)
        sum += twin_of(maps, map) == maps.size() ? map.stored.nbytes() : 0;
    return sum;
}

CompactFrame CompactFrame::to(torch::Device device) const {
    CompactFrame out = *this;
    for (auto& map : out.maps) map.stored = map.stored.to(device);
    for (auto& map : out.truth) {
        const size_t twin = twin_of(maps, map);
        map.stored = twin < maps.size() ? out.maps[twin].stored : map.stored.to(device);
    }
    return out;
}

CompactFrame compact(const Frame& frame) {
    CompactFrame out;
    for (const auto& [name, map] : frame.maps)
        out.maps.push_back({name, in_few_bytes(name, map), map.scalar_type()});
    for (const auto& [name, map] : frame.truth) {
        const auto* same = frame.maps.find(name);
        const auto twin = std::find_if(out.maps.begin(), out.maps.end(),
                                       [&](const CompactMap& other) { return other.name == name; });
        const bool shared = same && same->is_same(map);
        out.truth.push_back(
            {name, shared ? twin->stored : in_few_bytes(name, map), map.scalar_type()});
    }
    return out;
}

void expand(const CompactFrame& compact, bool truth, Frame& frame) {
    for (const auto& map : compact.maps) frame.maps.set(map.name, as_it_was(map));
    if (!truth) return;
    for (const auto& map : compact.truth) {
        const size_t twin = twin_of(compact.maps, map);
        frame.truth.set(map.name, twin < compact.maps.size()
                                      ? frame.maps.at(compact.maps[twin].name)
                                      : as_it_was(map));
    }
}

}  // namespace fmgs
