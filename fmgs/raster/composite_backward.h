/// The gradient sums of a tile; part of composite_tile.h.
namespace fmgs::raster::FMGS_SET {
namespace {

/// Compacted pairs of one surfel within a tile, structure of arrays.
template <class M>
struct Pairs {
    using T = typename M::Scalar;
    T *dx, *dy, *before, *weight, *gauss;
    typename M::Lane* pixel;
    T *value, *suffix, *grad_depth;  ///< [routes][capacity]; value: Σ_k f_k dL/d(image_k)
};

/// Everything backward keeps about the pixels of a tile. Rows of pixels are padded to whole packs.
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
    s.stride = round_up(s.w, L);
    s.pixels = s.h * s.stride;
    s.row_size = padded_begin<M>(t, t.routes + 1);
    s.capacity = s.pixels + L;  // a compressed pack may write its whole length
    Workspace<T> space{t.workspace};
    s.transmittance = space.take(s.pixels);
    s.last = reinterpret_cast<typename M::Lane*>(space.take(s.pixels));
    s.suffix = space.take(t.routes * s.pixels);
    s.grad_depth = space.take(t.routes * s.pixels);
    s.grad_image = space.take(s.pixels * s.row_size);
    s.row = space.take(s.row_size);
    s.grad_row = space.take(s.row_size);
    s.pairs.dx = space.take(s.capacity);
    s.pairs.dy = space.take(s.capacity);
    s.pairs.before = space.take(s.capacity);
    s.pairs.weight = space.take(s.capacity);
    s.pairs.gauss = space.take(s.capacity);
    s.pairs.pixel = reinterpret_cast<typename M::Lane*>(space.take(s.capacity));
    s.pairs.value = space.take(t.routes * s.capacity);
    s.pairs.suffix = space.take(t.routes * s.capacity);
    s.pairs.grad_depth = space.take(t.routes * s.capacity);
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
    for (int32_t x = first_pack<L>(box, t); x <= box.x1; x += L) {
        const V dx = (static_cast<T>(x) + T(0.5)) + M::iota() - s.c0;
        for (int32_t y = box.y0; y <= box.y1; ++y) {
            const int64_t at = (y - t.y0) * state.stride + (x - t.x0);
            const auto reached = M::load_mask(state.last + at) >= static_cast<Lane>(i);
            if (!M::bits(reached)) continue;
            const V dy = M::set(static_cast<T>(y) + T(0.5) - s.c1);
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
                add_pair<M>(pair_vjp<M>(s, pair, hit, grad_alpha, grad_z, has_depth), hit, dx, dy,
                            has_depth, sums[r]);
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
}  // namespace fmgs::raster::FMGS_SET
