/// The tile functions, compiled once per instruction set: define FMGS_SET (the namespace) and
/// FMGS_LANES (floats per pack) and include. No function of the standard library may be
/// instantiated here: the linker could pick this copy for all.
#include <fmgs/raster/composite_cpu.h>
#include <fmgs/raster/simd.h>
#include <string.h>

namespace fmgs::raster::FMGS_SET {
namespace {

FMGS_HD int64_t round_up(int64_t n, int64_t m) { return (n + m - 1) / m * m; }

/// The pixels of a tile that a surfel's box covers; empty when y1 < y0 or x1 < x0.
struct Box {
    int32_t x0, y0, x1, y1;
};
template <class T>
FMGS_HD Box clip(const Projected<T>& s, const Tile<T>& t) {
    return {s.x0 > t.x0 ? s.x0 : t.x0, s.y0 > t.y0 ? s.y0 : t.y0, s.x1 < t.x1 - 1 ? s.x1 : t.x1 - 1,
            s.y1 < t.y1 - 1 ? s.y1 : t.y1 - 1};
}

/// Where each ordered channel lies in a row padded per route to whole packs.
template <class M, class T>
FMGS_HD int64_t padded_begin(const Tile<T>& t, int64_t route) {
    int64_t n = 0;
    for (int64_t r = 0; r < route; ++r) n += round_up(t.begin[r + 1] - t.begin[r], M::kLanes);
    return n;
}

/// Copies a surfel's features into such a row; the padding stays as it is.
template <class M, class T>
FMGS_HD void gather_features(const Tile<T>& t, int32_t surfel, T* row) {
    const T* features = t.features + surfel * t.channels;
    for (int64_t r = 0; r < t.routes; ++r) {
        for (int32_t k = t.begin[r]; k < t.begin[r + 1]; ++k) *row++ = features[t.channel[k]];
        row += round_up(t.begin[r + 1] - t.begin[r], M::kLanes) - (t.begin[r + 1] - t.begin[r]);
    }
}

template <class M>
void forward(const ForwardTile<typename M::Scalar>& t) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    constexpr int L = M::kLanes;
    const int64_t w = t.x1 - t.x0, h = t.y1 - t.y0, stride = w + L;
    const int64_t channels = t.image ? t.channels : 0, row_size = round_up(channels, L);
    // A negative transmittance marks a pixel that has ended.
    T* transmittance = t.workspace;
    T* depth = transmittance + h * stride;
    typename M::Lane* last = reinterpret_cast<typename M::Lane*>(depth + h * stride);
    T* row = depth + 2 * h * stride;
    T* image = row + row_size;
    for (int64_t i = 0; i < h * stride; ++i) {
        transmittance[i] = 1;
        depth[i] = 0;
        last[i] = -1;
    }
    memset(row, 0, sizeof(T) * static_cast<size_t>(row_size + w * h * row_size));

    int64_t open = w * h;
    for (int64_t i = 0; i < t.count && open > 0; ++i) {
        const Projected<T>& s = t.surfels[t.indices[i]];
        const Box box = clip(s, t);
        bool gathered = false;
        for (int32_t y = box.y0; y <= box.y1; ++y) {
            const V dy = M::set(static_cast<T>(y) + T(0.5) - s.c1);
            for (int32_t x = box.x0; x <= box.x1; x += L) {
                T* const tp = transmittance + (y - t.y0) * stride + (x - t.x0);
                const V before = M::load(tp);
                const V lane = M::iota();
                const V dx = (static_cast<T>(x) + T(0.5)) + lane - s.c0;
                const auto pair = pair_alpha<M>(s, dx, dy);
                const auto mask = (pair.alpha >= T(kAlphaMin)) &
                                  (lane <= static_cast<T>(box.x1 - x)) & (before > T(0));
                if (!M::bits(mask)) continue;
                const V after = before * (T(1) - pair.alpha);
                const auto end = mask & (after < T(kTransmittanceMin));
                const auto draw = mask & ~end;
                M::store(tp, M::select(draw, after, M::select(end, -before, before)));
                if (const unsigned ended = M::bits(end)) open -= __builtin_popcount(ended);
                unsigned drawn = M::bits(draw);
                if (!drawn) continue;
                const V weight = M::select(draw, pair.alpha * before, M::set(0));
                T* const dp = depth + (tp - transmittance);
                const auto hit = pair_hit<M>(s, pair);
                M::store(dp, M::load(dp) + M::select(draw, weight * hit.z, M::set(0)));
                typename M::Lane* const lp = last + (tp - transmittance);
                const auto old = M::load_mask(lp);
                M::store_mask(lp, draw ? (old - old) + static_cast<typename M::Lane>(i) : old);
                if (channels == 0) continue;
                if (!gathered) {
                    memcpy(row, t.features + t.indices[i] * channels,
                           sizeof(T) * static_cast<size_t>(channels));
                    gathered = true;
                }
                T weights[L];
                M::store(weights, weight);
                T* const pixels = image + ((y - t.y0) * w + (x - t.x0)) * row_size;
                for (; drawn; drawn &= drawn - 1) {
                    const int l = __builtin_ctz(drawn);
                    T* const out = pixels + l * row_size;
                    for (int64_t k = 0; k < row_size; k += L)
                        M::store(out + k, M::load(out + k) + weights[l] * M::load(row + k));
                }
            }
        }
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
            for (int64_t x = 0; x < w; ++x) plane[x] = image[(y * w + x) * row_size + k];
        }
    }
}

/// Compacted pairs of one surfel within a tile, structure of arrays.
template <class T>
struct Pairs {
    T *dx, *dy, *before, *weight, *gauss, *z;
    int32_t* pixel;
    T *grad_alpha, *grad_z;  ///< [routes][capacity]
};

/// Everything backward keeps about the pixels of a tile.
template <class M>
struct BackwardState {
    using T = typename M::Scalar;
    int64_t w, h, stride, row_size, capacity;
    T* transmittance;        ///< [h,stride] behind the surfel at hand
    typename M::Lane* last;  ///< [h,stride]
    T* suffix;               ///< [routes][h·w] Σ_{j>i} w_j V_j − T_N dL/d(alpha)
    T* grad_depth;           ///< [routes][h·w]
    T* grad_image;           ///< [h·w, row_size]
    T *row, *grad_row;       ///< [row_size]
    Pairs<T> pairs;
};

template <class M>
BackwardState<M> backward_state(const BackwardTile<typename M::Scalar>& t) {
    using T = typename M::Scalar;
    constexpr int L = M::kLanes;
    BackwardState<M> s;
    s.w = t.x1 - t.x0;
    s.h = t.y1 - t.y0;
    s.stride = s.w + L;
    s.row_size = padded_begin<M>(t, t.routes);
    s.capacity = round_up(s.w * s.h, L);
    T* p = t.workspace;
    const auto take = [&p](int64_t n) {
        T* out = p;
        p += n;
        return out;
    };
    s.transmittance = take(s.h * s.stride);
    s.last = reinterpret_cast<typename M::Lane*>(take(s.h * s.stride));
    s.suffix = take(t.routes * s.w * s.h);
    s.grad_depth = take(t.routes * s.w * s.h);
    s.grad_image = take(s.w * s.h * s.row_size);
    s.row = take(s.row_size);
    s.grad_row = take(s.row_size);
    s.pairs.dx = take(s.capacity);
    s.pairs.dy = take(s.capacity);
    s.pairs.before = take(s.capacity);
    s.pairs.weight = take(s.capacity);
    s.pairs.gauss = take(s.capacity);
    s.pairs.z = take(s.capacity);
    s.pairs.pixel = reinterpret_cast<int32_t*>(take(s.capacity));
    s.pairs.grad_alpha = take(t.routes * s.capacity);
    s.pairs.grad_z = take(t.routes * s.capacity);
    memset(s.row, 0, sizeof(T) * static_cast<size_t>(s.row_size));
    return s;
}

/// Loads the tile's pixels; returns the largest position of a contributor, -1 without.
template <class M>
int64_t load_pixels(const BackwardTile<typename M::Scalar>& t, BackwardState<M>& s) {
    using T = typename M::Scalar;
    int64_t largest = -1;
    for (int64_t y = 0; y < s.h; ++y) {
        const int64_t in = (t.y0 + y) * t.width + t.x0;
        for (int64_t x = 0; x < s.stride; ++x) {
            s.last[y * s.stride + x] = x < s.w ? t.last[in + x] : -1;
            s.transmittance[y * s.stride + x] = x < s.w ? t.transmittance[in + x] : T(1);
            if (x < s.w && t.last[in + x] > largest) largest = t.last[in + x];
        }
    }
    if (largest >= t.count) largest = t.count - 1;
    if (largest < 0) return largest;
    for (int64_t r = 0; r < t.routes; ++r) {
        const int64_t column = padded_begin<M>(t, r), count = t.begin[r + 1] - t.begin[r];
        for (int64_t y = 0; y < s.h; ++y) {
            const int64_t in = (t.y0 + y) * t.width + t.x0;
            for (int64_t x = 0; x < s.w; ++x) {
                const int64_t pixel = y * s.w + x;
                s.suffix[r * s.w * s.h + pixel] =
                    t.grad_alpha[r] ? -t.transmittance[in + x] * t.grad_alpha[r][in + x] : T(0);
                s.grad_depth[r * s.w * s.h + pixel] =
                    t.grad_depth[r] ? t.grad_depth[r][in + x] : T(0);
                for (int64_t k = count; k < round_up(count, M::kLanes); ++k)
                    s.grad_image[pixel * s.row_size + column + k] = 0;
            }
            for (int64_t k = 0; k < count; ++k) {
                const T* const plane = t.grad_image[t.begin[r] + k];
                T* const out = s.grad_image + y * s.w * s.row_size + column + k;
                for (int64_t x = 0; x < s.w; ++x)
                    out[x * s.row_size] = plane ? plane[in + x] : T(0);
            }
        }
    }
    return largest;
}

/// Finds the pairs of the surfel at position i, steps their pixels' transmittance back, and lists
/// them. Returns their number.
template <class M>
FMGS_HD int64_t list_pairs(const BackwardTile<typename M::Scalar>& t, BackwardState<M>& state,
                           int64_t i) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    constexpr int L = M::kLanes;
    const Projected<T>& s = t.surfels[t.indices[i]];
    const Box box = clip(s, t);
    Pairs<T>& p = state.pairs;
    int64_t n = 0;
    for (int32_t y = box.y0; y <= box.y1; ++y) {
        const T dy = static_cast<T>(y) + T(0.5) - s.c1;
        for (int32_t x = box.x0; x <= box.x1; x += L) {
            const int64_t at = (y - t.y0) * state.stride + (x - t.x0);
            const V lane = M::iota();
            const auto reached =
                (M::load_mask(state.last + at) >= static_cast<typename M::Lane>(i)) &
                (lane <= static_cast<T>(box.x1 - x));
            if (!M::bits(reached)) continue;
            const V dx = (static_cast<T>(x) + T(0.5)) + lane - s.c0;
            const auto pair = pair_alpha<M>(s, dx, M::set(dy));
            const auto mask = reached & (pair.alpha >= T(kAlphaMin));
            unsigned bits = M::bits(mask);
            if (!bits) continue;
            const auto hit = pair_hit<M>(s, pair);
            const V after = M::load(state.transmittance + at);
            const V before = M::select(mask, after / (T(1) - pair.alpha), after);
            M::store(state.transmittance + at, before);
            T before_lane[L], weight_lane[L], gauss_lane[L], z_lane[L], dx_lane[L];
            M::store(before_lane, before);
            M::store(weight_lane, before * pair.alpha);
            M::store(gauss_lane, pair.gauss);
            M::store(z_lane, hit.z);
            M::store(dx_lane, dx);
            for (; bits; bits &= bits - 1, ++n) {
                const int l = __builtin_ctz(bits);
                p.dx[n] = dx_lane[l];
                p.dy[n] = dy;
                p.before[n] = before_lane[l];
                p.weight[n] = weight_lane[l];
                p.gauss[n] = gauss_lane[l];
                p.z[n] = z_lane[l];
                p.pixel[n] = static_cast<int32_t>((y - t.y0) * state.w + (x - t.x0) + l);
            }
        }
    }
    return n;
}

/// dL/dα and dL/dz of the listed pairs for every route, and the feature gradient of the surfel.
template <class M>
FMGS_HD void weigh_pairs(const BackwardTile<typename M::Scalar>& t, BackwardState<M>& state,
                         int64_t n) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    constexpr int L = M::kLanes;
    Pairs<T>& p = state.pairs;
    memset(state.grad_row, 0, sizeof(T) * static_cast<size_t>(state.row_size));
    for (int64_t m = 0; m < n; ++m) {
        const int64_t pixel = p.pixel[m];
        const T weight = p.weight[m];
        const T alpha = p.gauss[m] < T(kAlphaMax) ? p.gauss[m] : T(kAlphaMax);
        const T inverse = T(1) / (T(1) - alpha);
        const T open = p.gauss[m] <= T(kAlphaMax) ? T(1) : T(0);
        const T* g = state.grad_image + pixel * state.row_size;
        int64_t k = 0;
        for (int64_t r = 0; r < t.routes; ++r) {
            V value = M::set(0);
            for (const int64_t end = k + round_up(t.begin[r + 1] - t.begin[r], L); k < end;
                 k += L) {
                const V gk = M::load(g + k);
                value += M::load(state.row + k) * gk;
                M::store(state.grad_row + k, M::load(state.grad_row + k) + weight * gk);
            }
            const T grad_depth = state.grad_depth[r * state.w * state.h + pixel];
            const T v = M::sum(value) + p.z[m] * grad_depth;
            T& suffix = state.suffix[r * state.w * state.h + pixel];
            p.grad_alpha[r * state.capacity + m] = open * (p.before[m] * v - suffix * inverse);
            p.grad_z[r * state.capacity + m] = weight * grad_depth;
            suffix += weight * v;
        }
    }
}

/// Sums of the listed pairs' shares, for every route.
template <class M>
FMGS_HD void sum_pairs(const BackwardTile<typename M::Scalar>& t, BackwardState<M>& state,
                       const Projected<typename M::Scalar>& s, int64_t n,
                       typename M::Scalar* slot) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    constexpr int L = M::kLanes;
    Pairs<T>& p = state.pairs;
    for (int64_t m = n; m < round_up(n, L); ++m) {
        p.dx[m] = p.dy[m] = p.gauss[m] = 0;
        for (int64_t r = 0; r < t.routes; ++r)
            p.grad_alpha[r * state.capacity + m] = p.grad_z[r * state.capacity + m] = 0;
    }
    // The geometry of a pair is evaluated once for a few routes: as many as keep their sums in the
    // first cache.
    constexpr int64_t kTogether = 4;
    for (int64_t first = 0; first < t.routes; first += kTogether) {
        const int64_t count = t.routes - first < kTogether ? t.routes - first : kTogether;
        V sums[kTogether][kSums] = {};
        for (int64_t m = 0; m < n; m += L) {
            const V dx = M::load(p.dx + m), dy = M::load(p.dy + m);
            V rho;
            auto pair = pair_ray<M>(s, dx, dy, rho);
            pair.gauss = M::load(p.gauss + m);
            const auto hit = pair_hit<M>(s, pair);
            for (int64_t r = 0; r < count; ++r) {
                const int64_t at = (first + r) * state.capacity + m;
                pair_vjp<M>(s, pair, hit, dx, dy, M::load(p.grad_alpha + at),
                            M::load(p.grad_z + at), t.grad_depth[first + r] != nullptr, sums[r]);
            }
        }
        for (int64_t r = 0; r < count; ++r) {
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
    for (int64_t i = largest; i >= 0; --i) {
        const int64_t n = list_pairs<M>(t, state, i);
        if (n == 0) continue;
        gather_features<M>(t, t.indices[i], state.row);
        weigh_pairs<M>(t, state, n);
        T* const slot = t.slots + i * slot_size;
        t.touched[i] = 1;
        sum_pairs<M>(t, state, t.surfels[t.indices[i]], n, slot);
        if (!t.needs_features) continue;
        T* out = slot + t.routes * kSums;
        for (int64_t r = 0; r < t.routes; ++r) {
            const int64_t count = t.begin[r + 1] - t.begin[r];
            memcpy(out, state.grad_row + padded_begin<M>(t, r),
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
