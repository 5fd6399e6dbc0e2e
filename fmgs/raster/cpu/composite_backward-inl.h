/// The gradient sums of a tile; part of composite_tile-inl.h.
namespace fmgs::raster::FMGS_SET {
namespace {

/// Compacted samples of one surfel within a tile, structure of arrays.
template <class M>
struct Samples {
    using T = typename M::Scalar;
    T *dx, *dy, *before, *weight, *gauss;
    typename M::Lane* pixel;
    T *value, *suffix, *grad_depth;  ///< [routes][capacity]; value: Σ_k f_k dL/d(image_k)
    int64_t blocks;                  ///< that hold the samples, in their order
    typename M::Lane *block, *bits;  ///< [blocks] where each lies, which of its pixels
};

/// Everything backward keeps about the pixels of a tile, in the order of its blocks.
/// Channels are grouped by route, last those that reach features only; of many channels each group
/// is padded with zeros to whole packs.
template <class M>
struct BackwardState {
    using T = typename M::Scalar;
    Blocks<M> blocks;
    int64_t pixels, row_size, capacity;
    bool few;                      ///< channels, see kFewChannels, and all of one route
    int64_t* column;               ///< [routes+2] where in a row a group of channels begins
    T* transmittance;              ///< [pixels] behind the surfel at hand
    typename M::Lane* last;        ///< [pixels]
    T* suffix;                     ///< [routes][pixels] Σ_{j>i} w_j V_j − T_N dL/d(alpha)
    T* grad_depth;                 ///< [routes][pixels]
    T* grad_image;                 ///< [pixels, row_size], or few: [row_size, pixels]
    T *row, *grad_row;             ///< [row_size]
    typename M::Lane* pack_route;  ///< [row_size / L] of the channels in a pack
    Samples<M> samples;
};

template <class M>
BackwardState<M> backward_state(const BackwardTile<typename M::Scalar>& t) {
    using T = typename M::Scalar;
    constexpr int L = M::kLanes;
    BackwardState<M> s{Blocks<M>(t)};
    s.pixels = s.blocks.pixels;
    s.few = t.channels <= kFewChannels && t.routes == 1 && t.begin[1] == t.channels;
    s.capacity = s.pixels + L;  // a compressed pack may write its whole length
    Workspace<T> space{t.workspace};
    constexpr int64_t kWord = sizeof(int64_t) / sizeof(T);
    s.column = reinterpret_cast<int64_t*>(space.take(kWord * (t.routes + 2)));
    s.column[0] = 0;
    for (int64_t g = 0; g <= t.routes; ++g)
        s.column[g + 1] = s.column[g] + round_up(t.begin[g + 1] - t.begin[g], s.few ? 1 : L);
    s.row_size = s.column[t.routes + 1];
    s.transmittance = space.take(s.pixels);
    s.last = reinterpret_cast<typename M::Lane*>(space.take(s.pixels));
    s.suffix = space.take(t.routes * s.pixels);
    s.grad_depth = space.take(t.routes * s.pixels);
    s.grad_image = space.take(s.pixels * s.row_size);
    s.row = space.take(s.row_size);
    s.grad_row = space.take(s.row_size);
    s.pack_route = reinterpret_cast<typename M::Lane*>(space.take(s.row_size / L));
    for (int64_t g = 0; !s.few && g <= t.routes; ++g) {
        for (int64_t k = s.column[g]; k < s.column[g + 1]; k += L)
            s.pack_route[k / L] = static_cast<typename M::Lane>(g);
    }
    s.samples.dx = space.take(s.capacity);
    s.samples.dy = space.take(s.capacity);
    s.samples.before = space.take(s.capacity);
    s.samples.weight = space.take(s.capacity);
    s.samples.gauss = space.take(s.capacity);
    s.samples.pixel = reinterpret_cast<typename M::Lane*>(space.take(s.capacity));
    s.samples.value = space.take(t.routes * s.capacity);
    s.samples.suffix = space.take(t.routes * s.capacity);
    s.samples.grad_depth = space.take(t.routes * s.capacity);
    s.samples.block = reinterpret_cast<typename M::Lane*>(space.take(s.pixels / L));
    s.samples.bits = reinterpret_cast<typename M::Lane*>(space.take(s.pixels / L));
    memset(s.row, 0, sizeof(T) * static_cast<size_t>(s.row_size));
    return s;
}

/// Loads the tile's pixels; returns the largest position of a contributor, -1 without.
template <class M>
int64_t load_pixels(const BackwardTile<typename M::Scalar>& t, BackwardState<M>& s) {
    using T = typename M::Scalar;
    for (int64_t i = 0; i < s.pixels; ++i) {
        s.last[i] = -1;
        s.transmittance[i] = 1;
    }
    for (int64_t i = 0; i < t.routes * s.pixels; ++i) s.suffix[i] = s.grad_depth[i] = 0;
    int64_t largest = -1;
    s.blocks.for_runs([&](int64_t x, int64_t y, int64_t at, auto count) {
        const int64_t in = (t.y0 + y) * t.width + t.x0 + x;
        for (int64_t j = 0; j < count; ++j) {
            s.last[at + j] = t.last[in + j];
            s.transmittance[at + j] = t.transmittance[in + j];
            if (t.last[in + j] > largest) largest = t.last[in + j];
        }
        for (int64_t r = 0; r < t.routes; ++r) {
            const T *const alpha = t.grad_alpha[r], *const depth = t.grad_depth[r];
            T* const suffix = s.suffix + r * s.pixels + at;
            T* const grad_depth = s.grad_depth + r * s.pixels + at;
            for (int64_t j = 0; alpha && j < count; ++j)
                suffix[j] = -t.transmittance[in + j] * alpha[in + j];
            for (int64_t j = 0; depth && j < count; ++j) grad_depth[j] = depth[in + j];
        }
    });
    if (largest >= t.count) largest = t.count - 1;
    if (largest < 0) return largest;
    const int64_t pixel_step = s.few ? 1 : s.row_size, channel_step = s.few ? s.pixels : 1;
    for (int64_t g = 0; g <= t.routes; ++g) {
        const int64_t column = s.column[g], size = s.column[g + 1] - column,
                      count = t.begin[g + 1] - t.begin[g];
        s.blocks.for_runs([&](int64_t x, int64_t y, int64_t at, auto n) {
            const int64_t in = (t.y0 + y) * t.width + t.x0 + x;
            for (int64_t k = 0; k < size; ++k) {
                const T* const plane = k < count ? t.grad_image[t.begin[g] + k] : nullptr;
                T* const out = s.grad_image + at * pixel_step + (column + k) * channel_step;
                for (int64_t j = 0; j < n; ++j) out[j * pixel_step] = plane ? plane[in + j] : T(0);
            }
        });
    }
    return largest;
}

/// Copies a surfel's features into state.row.
template <class M>
FMGS_HD void load_features(const BackwardTile<typename M::Scalar>& t, BackwardState<M>& state,
                           int32_t surfel) {
    const auto* const features = t.features + surfel * t.channels;
    for (int64_t g = 0; g <= t.routes; ++g) {
        auto* to = state.row + state.column[g];
        for (int32_t k = t.begin[g]; k < t.begin[g + 1]; ++k) *to++ = features[t.channel[k]];
    }
}

/// Puts samples of weight zero, at the first sample's pixel, behind the n listed, to a whole pack.
template <class M, int kChannels>
FMGS_HD void fill_pack(const Samples<M>& p, int64_t n, int64_t routes, int64_t capacity) {
    const auto zero = M::set(0);
    M::store(p.dx + n, zero);
    M::store(p.dy + n, zero);
    M::store(p.before + n, zero);
    M::store(p.gauss + n, zero);
    if constexpr (kChannels == kMany) {
        M::store(p.weight + n, zero);
        M::store_lanes(p.pixel + n, M::set_lanes(p.pixel[0]));
    }
    for (int64_t r = 0; r < routes; ++r) {
        M::store(p.value + r * capacity + n, zero);
        M::store(p.suffix + r * capacity + n, zero);
        M::store(p.grad_depth + r * capacity + n, zero);
    }
}

/// Finds the samples of the surfel at position i, steps their pixels' transmittance back, and lists
/// them, filled up to a whole pack. Returns their number. With few channels it does the work of
/// weigh_pairs, too.
template <class M, int kChannels>
FMGS_HD int64_t list_pairs(const BackwardTile<typename M::Scalar>& t, BackwardState<M>& of_tile,
                           int64_t i) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    using Lane = typename M::Lane;
    // Copies: a store of a pack might change anything that is not local.
    const Projected<T> s = t.surfels[t.indices[i]];
    const BackwardState<M> state = of_tile;
    const Blocks<M> blocks = state.blocks;
    const Samples<M> p = state.samples;
    const T* const* const has_depth = t.grad_depth;
    const int64_t routes = t.routes, pixels = state.pixels, capacity = state.capacity;
    int64_t used = 0, n = 0;
    V grad_feature[kFewChannels] = {};
    blocks.for_box(t, s, [&](int64_t at, V dx, V dy) {
        const auto reached =
            M::at_most(M::set_lanes(static_cast<Lane>(i)), M::load_lanes(state.last + at));
        if (!M::bits(reached)) return;
        const auto sample = sample_alpha<M>(s, dx, dy);
        const auto mask = reached & M::at_most(M::set(T(kAlphaMin)), sample.alpha);
        const unsigned bits = M::bits(mask);
        const V after = M::load(state.transmittance + at);
        const V before = M::select(mask, after / (T(1) - sample.alpha), after);
        const V weight = before * sample.alpha;
        M::store(state.transmittance + at, before);
        const auto compact = M::compaction(bits);
        M::compress(p.dx + n, dx, compact);
        M::compress(p.dy + n, dy, compact);
        M::compress(p.before + n, before, compact);
        M::compress(p.gauss + n, sample.gauss, compact);
        if constexpr (kChannels == kMany) {
            M::compress(p.weight + n, weight, compact);
            M::compress_lanes(p.pixel + n, static_cast<Lane>(at), compact);
        }
        p.block[used] = static_cast<Lane>(at);
        p.bits[used++] = static_cast<Lane>(bits);
        for (int64_t r = 0; r < routes; ++r) {
            const int64_t from = r * pixels + at, to = r * capacity + n;
            M::compress(p.suffix + to, M::load(state.suffix + from), compact);
            if (has_depth[r])
                M::compress(p.grad_depth + to, M::load(state.grad_depth + from), compact);
        }
        if constexpr (kChannels != kMany) {
            V value = M::set(0);
            for (int k = 0; k < kChannels; ++k) {
                const V g_k = M::load(state.grad_image + k * pixels + at);
                value += state.row[k] * g_k;
                grad_feature[k] += M::select(mask, weight * g_k, M::set(0));
            }
            M::compress(p.value + n, value, compact);
        }
        n += __builtin_popcount(bits);
    });
    if (n == 0) return 0;
    of_tile.samples.blocks = used;
    fill_pack<M, kChannels>(p, n, routes, capacity);
    if constexpr (kChannels > 0) M::template sums<kChannels>(grad_feature, state.grad_row);
    return n;
}

/// Σ_k f_k dL/d(image_k) of the listed samples for every route, and the feature gradient of the
/// surfel.
template <class M>
FMGS_HD void weigh_pairs(const BackwardTile<typename M::Scalar>& t, BackwardState<M>& state,
                         int64_t n) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    constexpr int L = M::kLanes;
    const Samples<M>& p = state.samples;
    for (int64_t r = 0; r < t.routes; ++r) {
        for (int64_t m = 0; m < n; m += L) M::store(p.value + r * state.capacity + m, M::set(0));
    }
    for_packs<M>(state.row_size, [&](int64_t first, auto packs) {
        constexpr int N = decltype(packs)::value;
        const auto* const route = state.pack_route + first / L;
        V f[N], sum[N];
        for (int k = 0; k < N; ++k) {
            f[k] = M::load(state.row + first + k * L);
            sum[k] = M::set(0);
        }
        // Packs of one route are added up before their lanes are.
        const auto run = [&](auto rows) {
            constexpr int R = decltype(rows)::value;
            for (int64_t m = 0; m < n; m += 4) {
                V v[4 * R];
                for (int j = 0; j < 4; ++j) {
                    const T* const gradient = state.grad_image + p.pixel[m + j] * state.row_size;
                    const T weight = p.weight[m + j];
                    for (int k = 0; k < N; ++k) {
                        const V g_k = M::load(gradient + first + k * L);
                        V& to = v[R == 1 ? j : 4 * k + j];
                        to = R == 1 && k > 0 ? to + f[k] * g_k : f[k] * g_k;
                        sum[k] += weight * g_k;
                    }
                }
                for (int k = 0; k < R; ++k) {
                    if (route[k] == t.routes) continue;
                    M::add_sums(v + 4 * k, p.value + route[k] * state.capacity + m);
                }
            }
        };
        if (route[0] == route[N - 1])
            run(Count<1>{});
        else
            run(Count<N>{});
        for (int k = 0; k < N; ++k) M::store(state.grad_row + first + k * L, sum[k]);
    });
}

/// Sums of the listed samples' shares for every route; steps the suffix of their pixels.
template <class M>
FMGS_HD void sum_pairs(const BackwardTile<typename M::Scalar>& t, BackwardState<M>& state,
                       const Projected<typename M::Scalar>& s, int64_t n,
                       typename M::Scalar* slot) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    constexpr int L = M::kLanes;
    const Samples<M>& p = state.samples;
    // The geometry of a sample is evaluated once for a few routes: as many as keep their sums in
    // the first cache.
    constexpr int64_t kTogether = 4;
    for (int64_t first = 0; first < t.routes; first += kTogether) {
        const int64_t count = t.routes - first < kTogether ? t.routes - first : kTogether;
        V sums[kTogether][kSums];  // of the packs before
        for (int64_t m = 0; m < n; m += L) {
            const V dx = M::load(p.dx + m), dy = M::load(p.dy + m);
            V rho;
            auto sample = sample_ray<M>(s, dx, dy, rho);
            sample.gauss = M::load(p.gauss + m);
            const auto hit = sample_hit<M>(s, sample);
            const V alpha = M::min(M::set(T(kAlphaMax)), sample.gauss),
                    before = M::load(p.before + m), weight = before * alpha;
            const auto open = M::at_most(sample.gauss, M::set(T(kAlphaMax)));
            const V inverse = T(1) / (T(1) - alpha);
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
                const V grad_alpha = M::select(open, before * value - suffix * inverse, M::set(0));
                M::store(p.suffix + at, suffix + weight * value);
                V sum[kSums];
                for (int k = 0; k < kSums; ++k) sum[k] = m > 0 ? sums[r][k] : M::set(0);
                add_pair<M>(sample_vjp<M>(s, sample, hit, grad_alpha, grad_z, has_depth), hit, dx,
                            dy, has_depth, sum);
                if (m + L < n) {
                    for (int k = 0; k < kSums; ++k) sums[r][k] = sum[k];
                    continue;
                }
                M::template sums<kSums>(sum, slot + (first + r) * kSums);
            }
        }
        for (int64_t r = first; r < first + count; ++r) {
            const T* from = p.suffix + r * state.capacity;
            for (int64_t b = 0; b < p.blocks; ++b) {
                const auto bits = static_cast<unsigned>(p.bits[b]);
                T* const to = state.suffix + r * state.pixels + p.block[b];
                M::store(to, M::expand(M::load(to), from, M::compaction(bits)));
                from += __builtin_popcount(bits);
            }
        }
    }
}

/// Which slot the surfel at a position of the list has in this tile.
template <class T>
FMGS_HD int64_t slot_of(const BackwardTile<T>& t, int64_t i) {
    return t.places[t.indices[i]].of(t.column, t.row);
}

/// Asks for the slot of a surfel. Stores leave in order: one to memory that is not at hand would
/// hold up all after it.
template <class T>
FMGS_HD void prefetch_slot(const BackwardTile<T>& t, int64_t i) {
    if (i >= kAhead) __builtin_prefetch(t.places + t.indices[i - kAhead]);
    if (i < 0) return;
    const int64_t size = t.routes * kSums + t.channels;
    constexpr int64_t kLine = kCacheLine / static_cast<int64_t>(sizeof(T));
    const T* const slot = t.slots + slot_of(t, i) * size;
    for (int64_t at = 0; at < size; at += kLine) __builtin_prefetch(slot + at, 1);
}

template <class M>
void backward(const BackwardTile<typename M::Scalar>& t) {
    using T = typename M::Scalar;
    BackwardState<M> state = backward_state<M>(t);
    const int64_t largest = load_pixels<M>(t, state);
    const int64_t slot_size = t.routes * kSums + t.channels;
    for (int64_t i = 0; i < kAhead; ++i) prefetch(t, largest - i);
    with_channels(t.channels, state.few, [&](auto channels) {
        constexpr int kChannels = decltype(channels)::value;
        for (int64_t i = largest; i >= 0; --i) {
            prefetch(t, i - kAhead);
            prefetch_slot(t, i - kAhead);
            if (kChannels != kMany) load_features<M>(t, state, t.indices[i]);
            const int64_t n = list_pairs<M, kChannels>(t, state, i);
            if (n == 0) continue;
            if (kChannels == kMany) {
                load_features<M>(t, state, t.indices[i]);
                weigh_pairs<M>(t, state, n);
            }
            const int64_t at = slot_of(t, i);
            T* const slot = t.slots + at * slot_size;
            t.touched[at] = 1;
            sum_pairs<M>(t, state, t.surfels[t.indices[i]], n, slot);
            if (!t.needs_features) continue;
            T* out = slot + t.routes * kSums;
            for (int64_t g = 0; g <= t.routes; ++g) {
                const T* from = state.grad_row + state.column[g];
                for (int32_t k = t.begin[g]; k < t.begin[g + 1]; ++k) *out++ = *from++;
            }
        }
    });
}

}  // namespace
}  // namespace fmgs::raster::FMGS_SET
