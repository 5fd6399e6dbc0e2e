/// The tile functions, compiled once per instruction set: define FMGS_SET (the namespace) and
/// FMGS_LANES (floats per pack) and include. No function of the standard library may be
/// instantiated here: the linker could pick this copy for all.
#include <fmgs/raster/composite_cpu.h>
#include <fmgs/raster/simd.h>
#include <string.h>

namespace fmgs::raster::FMGS_SET {
namespace {

FMGS_HD int64_t round_up(int64_t n, int64_t m) { return (n + m - 1) / m * m; }

/// A number as a type.
template <int N>
struct Count {
    static constexpr int value = N;
};

/// The pixels of a tile that a surfel's box covers; empty when y1 < y0 or x1 < x0.
struct Box {
    int32_t x0, y0, x1, y1;
};
template <class T>
FMGS_HD Box clip(const Projected<T>& s, const Tile<T>& t) {
    return {s.x0 > t.x0 ? s.x0 : t.x0, s.y0 > t.y0 ? s.y0 : t.y0, s.x1 < t.x1 - 1 ? s.x1 : t.x1 - 1,
            s.y1 < t.y1 - 1 ? s.y1 : t.y1 - 1};
}

/// Packs of a tile begin at multiples of their length, so that what one surfel has written the next
/// reads in one piece. They may stick out of the box, where α is below 1/255, and out of the tile,
/// where pixels have ended. Behind the last pixel for an empty box.
template <int L, class T>
FMGS_HD int32_t first_pack(const Box& box, const Tile<T>& t) {
    return box.x1 < box.x0 ? t.x1 : t.x0 + (box.x0 - t.x0) / L * L;
}

/// Asks for the surfel at a position of the tile's list some time before it is used: the list walks
/// memory at random.
template <class T>
FMGS_HD void prefetch(const Tile<T>& t, int64_t i) {
    if (i < 0 || i >= t.count) return;
    const char* const surfel = reinterpret_cast<const char*>(t.surfels + t.indices[i]);
    __builtin_prefetch(surfel);
    __builtin_prefetch(surfel + sizeof(Projected<T>) - 1);
    const char* const features = reinterpret_cast<const char*>(t.features + t.indices[i] * t.channels);
    const int64_t bytes = t.channels * static_cast<int64_t>(sizeof(T));
    for (int64_t at = 0; at < bytes && at < 512; at += 64) __builtin_prefetch(features + at);
}
constexpr int64_t kAhead = 6;  // surfels between asking and using

/// Channels of group g (a route, or the last group: those that reach features only) begin here in a
/// row padded per group to whole packs.
template <class M, class T>
FMGS_HD int64_t padded_begin(const Tile<T>& t, int64_t group) {
    int64_t n = 0;
    for (int64_t g = 0; g < group; ++g) n += round_up(t.begin[g + 1] - t.begin[g], M::kLanes);
    return n;
}

/// Copies a surfel's features into such a row; the padding stays as it is.
template <class M, class T>
FMGS_HD void gather_features(const Tile<T>& t, int32_t surfel, T* row) {
    const T* features = t.features + surfel * t.channels;
    for (int64_t g = 0; g <= t.routes; ++g) {
        for (int32_t k = t.begin[g]; k < t.begin[g + 1]; ++k) *row++ = features[t.channel[k]];
        row += round_up(t.begin[g + 1] - t.begin[g], M::kLanes) - (t.begin[g + 1] - t.begin[g]);
    }
}

/// Hands out parts of the workspace, each on a boundary of its own cache line.
template <class T>
struct Workspace {
    T* next;
    T* take(int64_t n) {
        T* const out = next;
        next += round_up(n, kCacheLine / static_cast<int64_t>(sizeof(T)));
        return out;
    }
};

/// Calls f(first, number of packs as a type) for blocks of packs that fit the registers.
template <class M, class F>
FMGS_HD void for_packs(int64_t size, F&& f) {
    constexpr int64_t L = M::kLanes;
    int64_t k = 0;
    for (; k + 5 * L <= size; k += 5 * L) f(k, Count<5>{});
    switch ((size - k) / L) {
        case 4: return f(k, Count<4>{});
        case 3: return f(k, Count<3>{});
        case 2: return f(k, Count<2>{});
        case 1: return f(k, Count<1>{});
        default: return;
    }
}

}  // namespace
}  // namespace fmgs::raster::FMGS_SET

// Both directions take a surfel in two steps: its pairs are found by packs, without branches that
// wait for an exponential, and listed; what costs channels is then done pair by pair.
#include <fmgs/raster/composite_forward.h>
#include <fmgs/raster/composite_backward.h>

namespace fmgs::raster::FMGS_SET {

TileFunctions<float> functions_float() {
    using M = Simd<float, FMGS_LANES>;
    return {&forward<M>, &backward<M>};
}
TileFunctions<double> functions_double() {
    using M = Simd<double, FMGS_LANES / 2>;
    return {&forward<M>, &backward<M>};
}

}  // namespace fmgs::raster::FMGS_SET
