/// The tile functions, compiled once per instruction set: define FMGS_SET (the namespace) and
/// FMGS_LANES (floats per pack) and include. No function of the standard library may be
/// instantiated here: the linker could pick this copy for all.
#include <fmgs/raster/composite_cpu.h>
#include <fmgs/raster/simd.h>
#include <string.h>

namespace fmgs::raster::FMGS_SET {
namespace {

FMGS_HD int64_t round_up(int64_t n, int64_t m) { return (n + m - 1) / m * m; }

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

// Both directions take a surfel in two steps: its pairs are found by packs, without branches that
// wait for an exponential, and listed; what costs channels is then done pair by pair.
template <class M>
void forward(const ForwardTile<typename M::Scalar>& t) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    using Lane = typename M::Lane;
    constexpr int L = M::kLanes;
    const int64_t w = t.x1 - t.x0, h = t.y1 - t.y0, stride = w + L, pixels = h * stride;
    const int64_t channels = t.image ? t.channels : 0, row_size = round_up(channels, L);
    T* p = t.workspace;
    const auto take = [&p](int64_t n) {
        T* out = p;
        p += n;
        return out;
    };
    T* const transmittance = take(pixels);  // negative: the pixel has ended
    T* const depth = take(pixels);
    Lane* const last = reinterpret_cast<Lane*>(take(pixels));
    T* const weight = take(w * h + L);  // of the surfel's pairs
    Lane* const pixel = reinterpret_cast<Lane*>(take(w * h + L));
    T* const row = take(row_size);
    T* const image = take(pixels * row_size);
    for (int64_t i = 0; i < pixels; ++i) {
        transmittance[i] = i % stride < w ? T(1) : T(-1);
        depth[i] = 0;
        last[i] = -1;
    }
    memset(row, 0, sizeof(T) * static_cast<size_t>(row_size));
    for (int64_t y = 0; y < h; ++y)
        memset(image + y * stride * row_size, 0, sizeof(T) * static_cast<size_t>(w * row_size));

    int64_t open = w * h;
    for (int64_t i = 0; i < kAhead; ++i) prefetch(t, i);
    for (int64_t i = 0; i < t.count && open > 0; ++i) {
        prefetch(t, i + kAhead);
        const Projected<T>& s = t.surfels[t.indices[i]];
        const Box box = clip(s, t);
        int64_t n = 0;
        for (int32_t y = box.y0; y <= box.y1; ++y) {
            const V dy = M::set(static_cast<T>(y) + T(0.5) - s.c1);
            for (int32_t x = box.x0; x <= box.x1; x += L) {
                const int64_t at = (y - t.y0) * stride + (x - t.x0);
                const V before = M::load(transmittance + at);
                const V lane = M::iota();
                const auto reached = (lane <= static_cast<T>(box.x1 - x)) & (before > T(0));
                if (!M::bits(reached)) continue;
                const V dx = (static_cast<T>(x) + T(0.5)) + lane - s.c0;
                const auto pair = pair_alpha<M>(s, dx, dy);
                const auto mask = reached & (pair.alpha >= T(kAlphaMin));
                const V after = before * (T(1) - pair.alpha);
                const auto end = mask & (after < T(kTransmittanceMin));
                const auto draw = mask & ~end;
                M::store(transmittance + at,
                         M::select(draw, after, M::select(end, -before, before)));
                open -= __builtin_popcount(M::bits(end));
                const V drawn = M::select(draw, pair.alpha * before, M::set(0));
                const auto hit = pair_hit<M>(s, pair);
                M::store(depth + at, M::load(depth + at) + M::select(draw, drawn * hit.z, M::set(0)));
                M::store_mask(last + at, draw ? M::set_lanes(static_cast<Lane>(i))
                                              : M::load_mask(last + at));
                const unsigned bits = M::bits(draw);
                const auto compact = M::compaction(bits);
                M::compress(weight + n, drawn, compact);
                M::compress_lanes(pixel + n, static_cast<Lane>(at), compact);
                n += __builtin_popcount(bits);
            }
        }
        if (n == 0 || channels == 0) continue;
        memcpy(row, t.features + t.indices[i] * channels,
               sizeof(T) * static_cast<size_t>(channels));
        for_packs<M>(row_size, [&](int64_t first, auto packs) {
            constexpr int N = decltype(packs)::value;
            V f[N];
            for (int k = 0; k < N; ++k) f[k] = M::load(row + first + k * L);
            for (int64_t m = 0; m < n; ++m) {
                T* const out = image + pixel[m] * row_size + first;
                for (int k = 0; k < N; ++k)
                    M::store(out + k * L, M::load(out + k * L) + weight[m] * f[k]);
            }
        });
    }
    for (int64_t y = 0; y < h; ++y) {
        const int64_t out = (t.y0 + y) * t.width + t.x0;
        for (int64_t x = 0; x < w; ++x) {
            const T final = transmittance[y * stride + x] < 0 ? -transmittance[y * stride + x]
                                                              : transmittance[y * stride + x];
            t.transmittance[out + x] = final;
            t.alpha[out + x] = 1 - final;
            t.depth[out + x] = depth[y * stride + x];
            t.last[out + x] = static_cast<int32_t>(last[y * stride + x]);
        }
        for (int64_t k = 0; k < channels; ++k) {
            T* const plane = t.image + k * t.width * t.height + out;
            for (int64_t x = 0; x < w; ++x) plane[x] = image[(y * stride + x) * row_size + k];
        }
    }
}

/// Compacted pairs of one surfel within a tile, structure of arrays.
template <class M>
struct Pairs {
    using T = typename M::Scalar;
    T *dx, *dy, *before, *weight, *gauss;
    typename M::Lane* pixel;
    T *value, *suffix, *grad_depth;  ///< [routes][capacity]; value: Σ_k f_k dL/d(image_k)
};

/// Everything backward keeps about the pixels of a tile. Rows of pixels are padded by a pack.
template <class M>
struct BackwardState {
    using T = typename M::Scalar;
    int64_t w, h, stride, pixels, row_size, capacity;
    T* transmittance;        ///< [pixels] behind the surfel at hand
    typename M::Lane* last;  ///< [pixels]
    T* suffix;               ///< [routes][pixels] Σ_{j>i} w_j V_j − T_N dL/d(alpha)
    T* grad_depth;           ///< [routes][pixels]
    T* grad_image;           ///< [pixels, row_size]
    T *row, *grad_row;       ///< [row_size]
    Pairs<M> pairs;
};

template <class M>
BackwardState<M> backward_state(const BackwardTile<typename M::Scalar>& t) {
    using T = typename M::Scalar;
    constexpr int L = M::kLanes;
    BackwardState<M> s;
    s.w = t.x1 - t.x0;
    s.h = t.y1 - t.y0;
    s.stride = s.w + L;
    s.pixels = s.h * s.stride;
    s.row_size = padded_begin<M>(t, t.routes + 1);
    s.capacity = s.w * s.h + L;  // a compressed pack may write its whole length
    T* p = t.workspace;
    const auto take = [&p](int64_t n) {
        T* out = p;
        p += n;
        return out;
    };
    s.transmittance = take(s.pixels);
    s.last = reinterpret_cast<typename M::Lane*>(take(s.pixels));
    s.suffix = take(t.routes * s.pixels);
    s.grad_depth = take(t.routes * s.pixels);
    s.grad_image = take(s.pixels * s.row_size);
    s.row = take(s.row_size);
    s.grad_row = take(s.row_size);
    s.pairs.dx = take(s.capacity);
    s.pairs.dy = take(s.capacity);
    s.pairs.before = take(s.capacity);
    s.pairs.weight = take(s.capacity);
    s.pairs.gauss = take(s.capacity);
    s.pairs.pixel = reinterpret_cast<typename M::Lane*>(take(s.capacity));
    s.pairs.value = take(t.routes * s.capacity);
    s.pairs.suffix = take(t.routes * s.capacity);
    s.pairs.grad_depth = take(t.routes * s.capacity);
    memset(s.row, 0, sizeof(T) * static_cast<size_t>(s.row_size));
    return s;
}

/// Loads the tile's pixels; returns the largest position of a contributor, -1 without.
template <class M>
int64_t load_pixels(const BackwardTile<typename M::Scalar>& t, BackwardState<M>& s) {
    using T = typename M::Scalar;
    int64_t largest = -1;
    for (int64_t y = 0; y < s.h; ++y) {
        const int64_t in = (t.y0 + y) * t.width + t.x0, out = y * s.stride;
        for (int64_t x = 0; x < s.stride; ++x) {
            s.last[out + x] = x < s.w ? t.last[in + x] : -1;
            s.transmittance[out + x] = x < s.w ? t.transmittance[in + x] : T(1);
            if (x < s.w && t.last[in + x] > largest) largest = t.last[in + x];
        }
        for (int64_t r = 0; r < t.routes; ++r) {
            const T *const alpha = t.grad_alpha[r], *const depth = t.grad_depth[r];
            T* const suffix = s.suffix + r * s.pixels + out;
            T* const grad_depth = s.grad_depth + r * s.pixels + out;
            for (int64_t x = 0; x < s.stride; ++x) {
                suffix[x] = x < s.w && alpha ? -t.transmittance[in + x] * alpha[in + x] : T(0);
                grad_depth[x] = x < s.w && depth ? depth[in + x] : T(0);
            }
        }
    }
    if (largest >= t.count) largest = t.count - 1;
    if (largest < 0) return largest;
    for (int64_t g = 0; g <= t.routes; ++g) {
        const int64_t column = padded_begin<M>(t, g), count = t.begin[g + 1] - t.begin[g];
        for (int64_t y = 0; y < s.h; ++y) {
            const int64_t in = (t.y0 + y) * t.width + t.x0;
            T* const row = s.grad_image + y * s.stride * s.row_size + column;
            for (int64_t k = 0; k < round_up(count, M::kLanes); ++k) {
                const T* const plane = k < count ? t.grad_image[t.begin[g] + k] : nullptr;
                T* const out = row + k;
                for (int64_t x = 0; x < s.w; ++x)
                    out[x * s.row_size] = plane ? plane[in + x] : T(0);
            }
        }
    }
    return largest;
}

/// Finds the pairs of the surfel at position i, steps their pixels' transmittance back, and lists
/// them, followed by pairs of weight zero to a whole pack. Returns their number.
template <class M>
FMGS_HD int64_t list_pairs(const BackwardTile<typename M::Scalar>& t, BackwardState<M>& state,
                           int64_t i) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    using Lane = typename M::Lane;
    constexpr int L = M::kLanes;
    const Projected<T>& s = t.surfels[t.indices[i]];
    const Box box = clip(s, t);
    Pairs<M>& p = state.pairs;
    int64_t n = 0;
    for (int32_t y = box.y0; y <= box.y1; ++y) {
        const V dy = M::set(static_cast<T>(y) + T(0.5) - s.c1);
        for (int32_t x = box.x0; x <= box.x1; x += L) {
            const int64_t at = (y - t.y0) * state.stride + (x - t.x0);
            const V lane = M::iota();
            const auto reached = (M::load_mask(state.last + at) >= static_cast<Lane>(i)) &
                                 (lane <= static_cast<T>(box.x1 - x));
            if (!M::bits(reached)) continue;
            const V dx = (static_cast<T>(x) + T(0.5)) + lane - s.c0;
            const auto pair = pair_alpha<M>(s, dx, dy);
            const auto mask = reached & (pair.alpha >= T(kAlphaMin));
            const unsigned bits = M::bits(mask);
            const V after = M::load(state.transmittance + at);
            const V before = M::select(mask, after / (T(1) - pair.alpha), after);
            M::store(state.transmittance + at, before);
            const auto compact = M::compaction(bits);
            M::compress(p.dx + n, dx, compact);
            M::store(p.dy + n, dy);
            M::compress(p.before + n, before, compact);
            M::compress(p.weight + n, before * pair.alpha, compact);
            M::compress(p.gauss + n, pair.gauss, compact);
            M::compress_lanes(p.pixel + n, static_cast<Lane>(at), compact);
            for (int64_t r = 0; r < t.routes; ++r) {
                const int64_t from = r * state.pixels + at, to = r * state.capacity + n;
                M::compress(p.suffix + to, M::load(state.suffix + from), compact);
                if (t.grad_depth[r])
                    M::compress(p.grad_depth + to, M::load(state.grad_depth + from), compact);
            }
            n += __builtin_popcount(bits);
        }
    }
    const V zero = M::set(0);
    M::store(p.dx + n, zero);
    M::store(p.dy + n, zero);
    M::store(p.before + n, zero);
    M::store(p.weight + n, zero);
    M::store(p.gauss + n, zero);
    for (int64_t r = 0; r < t.routes; ++r) {
        M::store(p.value + r * state.capacity + n, zero);
        M::store(p.suffix + r * state.capacity + n, zero);
        M::store(p.grad_depth + r * state.capacity + n, zero);
    }
    return n;
}

/// Σ_k f_k dL/d(image_k) of the listed pairs for every route, and the feature gradient of the surfel.
template <class M>
FMGS_HD void weigh_pairs(const BackwardTile<typename M::Scalar>& t, BackwardState<M>& state,
                         int64_t n) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    constexpr int L = M::kLanes;
    const Pairs<M>& p = state.pairs;
    for (int64_t g = 0, begin = 0; g <= t.routes; ++g) {
        const int64_t size = round_up(t.begin[g + 1] - t.begin[g], L);
        T* const value = g < t.routes ? p.value + g * state.capacity : nullptr;
        if (value && size == 0) memset(value, 0, sizeof(T) * static_cast<size_t>(n));
        for_packs<M>(size, [&](int64_t first, auto packs) {
            constexpr int N = decltype(packs)::value;
            const T* const gradient = state.grad_image + begin + first;
            V f[N], sum[N];
            for (int k = 0; k < N; ++k) {
                f[k] = M::load(state.row + begin + first + k * L);
                sum[k] = M::set(0);
            }
            for (int64_t m = 0; m < n; ++m) {
                const T* const g_pixel = gradient + p.pixel[m] * state.row_size;
                const T weight = p.weight[m];
                V v = M::set(0);
                for (int k = 0; k < N; ++k) {
                    const V g_k = M::load(g_pixel + k * L);
                    v += f[k] * g_k;
                    sum[k] += weight * g_k;
                }
                if (value) value[m] = (first == 0 ? T(0) : value[m]) + M::sum(v);
            }
            for (int k = 0; k < N; ++k) M::store(state.grad_row + begin + first + k * L, sum[k]);
        });
        begin += size;
    }
}

/// Sums of the listed pairs' shares for every route; steps the suffix of their pixels.
template <class M>
FMGS_HD void sum_pairs(const BackwardTile<typename M::Scalar>& t, BackwardState<M>& state,
                       const Projected<typename M::Scalar>& s, int64_t n,
                       typename M::Scalar* slot) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    constexpr int L = M::kLanes;
    const Pairs<M>& p = state.pairs;
    // The geometry of a pair is evaluated once for a few routes: as many as keep their sums in the
    // first cache.
    constexpr int64_t kTogether = 4;
    for (int64_t first = 0; first < t.routes; first += kTogether) {
        const int64_t count = t.routes - first < kTogether ? t.routes - first : kTogether;
        V sums[kTogether][kSums];
        for (int64_t r = 0; r < count; ++r) {
            for (int k = 0; k < kSums; ++k) sums[r][k] = M::set(0);
        }
        for (int64_t m = 0; m < n; m += L) {
            const V dx = M::load(p.dx + m), dy = M::load(p.dy + m);
            V rho;
            auto pair = pair_ray<M>(s, dx, dy, rho);
            pair.gauss = M::load(p.gauss + m);
            const auto hit = pair_hit<M>(s, pair);
            const V before = M::load(p.before + m), weight = M::load(p.weight + m);
            const auto open = pair.gauss <= T(kAlphaMax);
            const V inverse = T(1) / (T(1) - M::min(M::set(T(kAlphaMax)), pair.gauss));
            for (int64_t r = 0; r < count; ++r) {
                const int64_t at = (first + r) * state.capacity + m;
                const bool has_depth = t.grad_depth[first + r] != nullptr;
                const V suffix = M::load(p.suffix + at);
                V value = M::load(p.value + at), grad_z = M::set(0);
                if (has_depth) {
                    const V grad_depth = M::load(p.grad_depth + at);
                    value += hit.z * grad_depth;
                    grad_z = weight * grad_depth;
                }
                const V grad_alpha =
                    M::select(open, before * value - suffix * inverse, M::set(0));
                M::store(p.suffix + at, suffix + weight * value);
                pair_vjp<M>(s, pair, hit, dx, dy, grad_alpha, grad_z, has_depth, sums[r]);
            }
        }
        for (int64_t r = 0; r < count; ++r) {
            T* const suffix = state.suffix + (first + r) * state.pixels;
            const T* const stepped = p.suffix + (first + r) * state.capacity;
            for (int64_t m = 0; m < n; ++m) suffix[p.pixel[m]] = stepped[m];
            for (int k = 0; k < kSums; ++k) slot[(first + r) * kSums + k] = M::sum(sums[r][k]);
        }
    }
}

template <class M>
void backward(const BackwardTile<typename M::Scalar>& t) {
    using T = typename M::Scalar;
    BackwardState<M> state = backward_state<M>(t);
    const int64_t largest = load_pixels<M>(t, state);
    memset(t.touched, 0, static_cast<size_t>(t.count));
    const int64_t slot_size = t.routes * kSums + t.channels;
    for (int64_t i = 0; i < kAhead; ++i) prefetch(t, largest - i);
    for (int64_t i = largest; i >= 0; --i) {
        prefetch(t, i - kAhead);
        const int64_t n = list_pairs<M>(t, state, i);
        if (n == 0) continue;
        gather_features<M>(t, t.indices[i], state.row);
        weigh_pairs<M>(t, state, n);
        T* const slot = t.slots + i * slot_size;
        t.touched[i] = 1;
        sum_pairs<M>(t, state, t.surfels[t.indices[i]], n, slot);
        if (!t.needs_features) continue;
        T* out = slot + t.routes * kSums;
        for (int64_t g = 0; g <= t.routes; ++g) {
            const int64_t count = t.begin[g + 1] - t.begin[g];
            memcpy(out, state.grad_row + padded_begin<M>(t, g),
                   sizeof(T) * static_cast<size_t>(count));
            out += count;
        }
    }
}

}  // namespace

TileFunctions<float> functions_float() {
    using M = Simd<float, FMGS_LANES>;
    return {&forward<M>, &backward<M>};
}
TileFunctions<double> functions_double() {
    using M = Simd<double, FMGS_LANES / 2>;
    return {&forward<M>, &backward<M>};
}

}  // namespace fmgs::raster::FMGS_SET
