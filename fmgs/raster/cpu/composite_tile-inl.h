/// The tile functions, compiled once per instruction set: define FMGS_SET (the namespace) and
/// FMGS_LANES (floats per pack) and include. No function of the standard library may be
/// instantiated here: the linker could pick this copy for all.
#include <fmgs/raster/cpu/composite.h>
#include <fmgs/raster/cpu/simd-inl.h>
#include <string.h>

namespace fmgs::raster::FMGS_SET {
namespace {

/// A number as a type.
template <int N>
struct Count {
    static constexpr int value = N;
    constexpr operator int64_t() const { return N; }
};

/// The pixels of a tile in blocks of one pack each, 4×4 pixels for 16 lanes: what one surfel has
/// written the next reads in one piece. Blocks stick out of a surfel's box, where α is below 1/255,
/// and out of the tile, where pixels have ended.
template <class M>
struct Blocks {
    static constexpr int kWidth = 4, kHeight = M::kLanes / kWidth;
    int64_t w, h;    ///< of the tile
    int64_t stride;  ///< from one row of blocks to the next
    int64_t pixels;  ///< of all blocks

    template <class T>
    explicit Blocks(const Tile<T>& t)
        : w(t.x1 - t.x0),
          h(t.y1 - t.y0),
          stride(round_up(w, kWidth) * kHeight),
          pixels(round_up(h, kHeight) / kHeight * stride) {}
    /// Where a pixel lies, (0,0) being the tile's first.
    int64_t at(int64_t x, int64_t y) const {
        return y / kHeight * stride + x / kWidth * M::kLanes + y % kHeight * kWidth + x % kWidth;
    }
    /// Calls f(x, y, at(x,y), count) for runs of pixels that lie side by side in image and block;
    /// the count of whole ones is a type.
    template <class F>
    void for_runs(F&& f) const {
        for (int64_t y = 0; y < h; ++y) {
            int64_t x = 0;
            for (; x + kWidth <= w; x += kWidth) f(x, y, at(x, y), Count<kWidth>{});
            if (x < w) f(x, y, at(x, y), w - x);
        }
    }
    /// Calls f(at, dx, dy) for the blocks that a surfel's box meets; (dx,dy): from (c0,c1) to the
    /// centres of the pixels.
    template <class T, class F>
    void for_box(const Tile<T>& t, const Projected<T>& s, F&& f) const {
        const int32_t left = s.x0 > t.x0 ? s.x0 : t.x0, right = s.x1 < t.x1 ? s.x1 : t.x1 - 1;
        const int32_t top = s.y0 > t.y0 ? s.y0 : t.y0, bottom = s.y1 < t.y1 ? s.y1 : t.y1 - 1;
        if (right < left || bottom < top) return;
        const int64_t first_row = (top - t.y0) / kHeight, last_row = (bottom - t.y0) / kHeight;
        const int64_t last_column = (right - t.x0) / kWidth;
        const auto first_y = (static_cast<T>(t.y0 + first_row * kHeight) + T(0.5)) + rows();
        for (int64_t column = (left - t.x0) / kWidth; column <= last_column; ++column) {
            const auto dx = (static_cast<T>(t.x0 + column * kWidth) + T(0.5)) + columns() - s.c0;
            auto y = first_y;
            int64_t at = first_row * stride + column * M::kLanes;
            for (int64_t row = first_row; row <= last_row; ++row) {
                f(at, dx, y - s.c1);
                at += stride;
                y += static_cast<T>(kHeight);
            }
        }
    }

  private:
    static typename M::Value columns() {
        typename M::Value v;
        for (int l = 0; l < M::kLanes; ++l) v[l] = static_cast<typename M::Scalar>(l % kWidth);
        return v;
    }
    static typename M::Value rows() {
        typename M::Value v;
        for (int l = 0; l < M::kLanes; ++l) v[l] = static_cast<typename M::Scalar>(l / kWidth);
        return v;
    }
};

/// Asks for the surfel at a position of the tile's list some time before it is used: the list walks
/// memory at random.
template <class T>
FMGS_HD void prefetch(const Tile<T>& t, int64_t i) {
    if (i < 0 || i >= t.count) return;
    const char* const surfel = reinterpret_cast<const char*>(t.surfels + t.indices[i]);
    __builtin_prefetch(surfel);
    __builtin_prefetch(surfel + sizeof(Projected<T>) - 1);
    const char* const features =
        reinterpret_cast<const char*>(t.features + t.indices[i] * t.channels);
    const int64_t bytes = t.channels * static_cast<int64_t>(sizeof(T));
    for (int64_t at = 0; at < bytes && at < 512; at += 64) __builtin_prefetch(features + at);
}
constexpr int64_t kAhead = 6;  // surfels between asking and using

/// Up to this many channels are kept as planes and summed while the samples of a surfel are found,
/// a pack of pixels at a time; more are kept as a row per pixel and summed sample by sample, a pack
/// of channels at a time, once the samples are listed.
constexpr int64_t kFewChannels = 4;
constexpr int kMany = -1;

/// Calls f(channels as a type), or f(Count<kMany>).
template <class F>
FMGS_HD void with_channels(int64_t channels, bool few, F&& f) {
    switch (few ? channels : kMany) {
        case 0:
            return f(Count<0>{});
        case 1:
            return f(Count<1>{});
        case 2:
            return f(Count<2>{});
        case 3:
            return f(Count<3>{});
        case 4:
            return f(Count<4>{});
        default:
            return f(Count<kMany>{});
    }
}

/// Hands out parts of the workspace, each on a boundary of its own cache line, with a line between:
/// parts of 4 KiB would else lie over each other in the first cache.
template <class T>
struct Workspace {
    T* next;
    T* take(int64_t n) {
        T* const out = next;
        constexpr int64_t kLine = kCacheLine / static_cast<int64_t>(sizeof(T));
        next += round_up(n, kLine) + kLine;
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
        case 4:
            return f(k, Count<4>{});
        case 3:
            return f(k, Count<3>{});
        case 2:
            return f(k, Count<2>{});
        case 1:
            return f(k, Count<1>{});
        default:
            return;
    }
}

}  // namespace
}  // namespace fmgs::raster::FMGS_SET

// Both directions find the samples of a surfel by packs, without branches that wait for an
// exponential. Many channels take a second step: a loop over the listed samples. Its end is a
// branch that waits for the last exponential, once per surfel, which few channels are spared in the
// forward direction.
#include <fmgs/raster/cpu/composite_backward-inl.h>
#include <fmgs/raster/cpu/composite_forward-inl.h>

namespace fmgs::raster::FMGS_SET {

TileFunctions<float> functions_float() {
    using M = Simd<float, FMGS_LANES>;
    return {&forward<M>, &backward<M>};
}
TileFunctions<double> functions_double() {
    using M = Simd<double, FMGS_LANES == 16 ? 8 : 4>;
    return {&forward<M>, &backward<M>};
}

}  // namespace fmgs::raster::FMGS_SET
