/// The CPU backend of fmgs::find_tiles.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/raster/cpu/call.h>
#include <fmgs/raster/tiles_op.h>
#include <fmt/format.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace fmgs::raster {
namespace {

/// Integers that order like the positive numbers they come from.
template <class T>
using KeyOf = std::conditional_t<std::is_same_v<T, float>, uint32_t, uint64_t>;

template <class T>
struct Keyed {
    KeyOf<T> key;
    int32_t surfel;
};

/// A part of n items for each thread: f(part, begin, end). What is made of parts does not depend on
/// their number.
template <class F>
void for_parts(int64_t parts, int64_t n, F&& f) {
    at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
        for (int64_t p = first; p < last; ++p) f(p, n * p / parts, n * (p + 1) / parts);
    });
}

/// counts [parts,bins]: how many items of a part go to a bin → where the part's first one goes, bin
/// by bin and part by part. Returns where each bin begins, and the end.
std::vector<int64_t> places(std::vector<int64_t>& counts, int64_t parts) {
    const int64_t bins = static_cast<int64_t>(counts.size()) / parts;
    std::vector<int64_t> start;
    int64_t next = 0;
    for (int64_t b = 0; b < bins; ++b) {
        start.push_back(next);
        for (int64_t p = 0; p < parts; ++p)
            next += std::exchange(counts[static_cast<size_t>(p * bins + b)], next);
    }
    start.push_back(next);
    return start;
}

/// Stable: equal keys keep their order. Digits that all keys share are skipped.
template <class T>
void radix_sort(std::vector<Keyed<T>>& items, int64_t parts) {
    constexpr int kBits = 11, kKeyBits = 8 * sizeof(KeyOf<T>);
    constexpr int64_t kBins = 1 << kBits;
    const auto n = static_cast<int64_t>(items.size());
    std::vector<Keyed<T>> other(items.size());
    for (int shift = 0; shift < kKeyBits; shift += kBits) {
        const auto digit = [shift](const Keyed<T>& item) {
            return static_cast<size_t>(item.key >> shift) & (kBins - 1);
        };
        std::vector<int64_t> next(static_cast<size_t>(parts * kBins), 0);
        for_parts(parts, n, [&](int64_t part, int64_t begin, int64_t end) {
            int64_t* const own = next.data() + part * kBins;
            for (int64_t i = begin; i < end; ++i) ++own[digit(items[static_cast<size_t>(i)])];
        });
        const auto start = places(next, parts);
        if (std::adjacent_find(start.begin(), start.end(),
                               [n](int64_t a, int64_t b) { return b - a == n; }) != start.end())
            continue;
        for_parts(parts, n, [&](int64_t part, int64_t begin, int64_t end) {
            int64_t* const own = next.data() + part * kBins;
            for (int64_t i = begin; i < end; ++i) {
                const auto& item = items[static_cast<size_t>(i)];
                other[static_cast<size_t>(own[digit(item)]++)] = item;
            }
        });
        items.swap(other);
    }
}

/// What is seen, in the order of the surfels.
template <class T>
struct Seen {
    std::vector<Keyed<T>> order;
    int64_t intersections = 0;  ///< with tiles
};

/// boxes [N] out: the tiles of those that are seen.
template <class T>
Seen<T> project_all(TilesInputs in, int64_t parts, TileBox* boxes) {
    for (auto* x : {&in.center, &in.tangents, &in.opacity, &in.intrinsics}) *x = x->contiguous();
    const auto rows = rows_of<T>(in);
    const auto functions = functions_of<T>(tile_backend());
    const auto size = static_cast<int32_t>(in.tile_size);
    std::vector<Seen<T>> own(static_cast<size_t>(parts));
    for_parts(parts, in.center.size(0), [&](int64_t part, int64_t begin, int64_t end) {
        constexpr int64_t kRows = 256;
        std::array<Projected<T>, kRows> projected;
        auto& [order, intersections] = own[static_cast<size_t>(part)];
        order.reserve(static_cast<size_t>(end - begin));
        for (int64_t first = begin; first < end; first += kRows) {
            const int64_t last = std::min(first + kRows, end);
            functions.project(rows, first, last, projected.data());
            for (int64_t i = first; i < last; ++i) {
                const auto& s = projected[static_cast<size_t>(i - first)];
                if (s.x1 < s.x0) continue;
                Keyed<T> item{0, static_cast<int32_t>(i)};
                std::memcpy(&item.key, &s.z, sizeof s.z);
                order.push_back(item);
                boxes[i] = TileBox(s, size);
                intersections += boxes[i].count();
            }
        }
    });
    Seen<T> seen;
    for (const auto& part : own) {
        seen.order.insert(seen.order.end(), part.order.begin(), part.order.end());
        seen.intersections += part.intersections;
    }
    return seen;
}

template <class T>
TilesOutputs bin(const TilesInputs& in) {
    const auto tiles_along = [&](int64_t n) { return (n + in.tile_size - 1) / in.tile_size; };
    const int64_t across = tiles_along(in.width), tiles = across * tiles_along(in.height);
    // Threads wait for each other some ten times: few surfels are not worth it.
    constexpr int64_t kSurfels = 16384;
    const int64_t parts =
        std::clamp<int64_t>(in.center.size(0) / kSurfels, 1, at::get_num_threads());
    const std::unique_ptr<TileBox[]> boxes(new TileBox[static_cast<size_t>(in.center.size(0))]);
    auto seen = project_all<T>(in, parts, boxes.get());
    if (seen.intersections > INT32_MAX)
        throw Error(fmt::format(
            "find_tiles: {} intersections of surfels and tiles; at most {} fit: use larger tiles",
            seen.intersections, INT32_MAX));
    radix_sort(seen.order, parts);
    const auto for_tiles = [&](int64_t begin, int64_t end, auto&& f) {
        for (int64_t i = begin; i < end; ++i) {
            const int32_t surfel = seen.order[static_cast<size_t>(i)].surfel;
            boxes[static_cast<size_t>(surfel)].for_tiles(across,
                                                         [&](int64_t tile) { f(tile, surfel); });
        }
    };
    const auto count = static_cast<int64_t>(seen.order.size());
    std::vector<int64_t> next(static_cast<size_t>(parts * tiles), 0);
    for_parts(parts, count, [&](int64_t part, int64_t begin, int64_t end) {
        int64_t* const own = next.data() + part * tiles;
        for_tiles(begin, end, [&](int64_t tile, int32_t) { ++own[tile]; });
    });
    const auto start = places(next, parts);
    const auto ints = in.center.options().dtype(torch::kInt);
    TilesOutputs out{torch::empty({tiles + 1}, ints), torch::empty({seen.intersections}, ints),
                     torch::zeros({1}, ints)};
    std::copy(start.begin(), start.end(), out.offsets.template data_ptr<int32_t>());
    int32_t* const indices = out.indices.template data_ptr<int32_t>();
    for_parts(parts, count, [&](int64_t part, int64_t begin, int64_t end) {
        int64_t* const own = next.data() + part * tiles;
        for_tiles(begin, end, [&](int64_t tile, int32_t surfel) { indices[own[tile]++] = surfel; });
    });
    return out;
}

TilesOutputs find_tiles_cpu(const TilesInputs& in) {
    TilesOutputs out;
    AT_DISPATCH_FLOATING_TYPES(in.center.scalar_type(), "find_tiles",
                               [&] { out = bin<scalar_t>(in); });
    return out;
}

}  // namespace
}  // namespace fmgs::raster

TORCH_LIBRARY_IMPL(fmgs, CPU, m) {
    m.impl("find_tiles", fmgs::raster::find_tiles_kernel<&fmgs::raster::find_tiles_cpu>);
}
