/// Drawing a tile; part of composite_tile-inl.h.
namespace fmgs::raster::FMGS_SET {
namespace {

/// Everything forward keeps about the pixels of a tile, in the order of its blocks.
template <class M>
struct ForwardState {
    using T = typename M::Scalar;
    using Lane = typename M::Lane;
    Blocks<M> blocks;
    int64_t pixels, channels, row_size;
    bool few;          ///< channels, see kFewChannels
    T* transmittance;  ///< [pixels]; negative: the pixel has ended
    T* depth;          ///< [pixels]
    Lane* last;        ///< [pixels]
    T* weight;         ///< of the samples of the surfel at hand
    Lane* pixel;       ///< where they lie
    T *row, *image;    ///< [row_size]; [pixels, row_size], or few: [row_size, pixels]
};

template <class M>
FMGS_HD ForwardState<M> forward_state(const ForwardTile<typename M::Scalar>& t) {
    using T = typename M::Scalar;
    using Lane = typename M::Lane;
    constexpr int L = M::kLanes;
    ForwardState<M> s{Blocks<M>(t)};
    const int64_t pixels = s.pixels = s.blocks.pixels;
    s.channels = t.image ? t.channels : 0;
    s.few = s.channels <= kFewChannels;
    s.row_size = s.few ? s.channels : round_up(s.channels, L);
    Workspace<T> space{t.workspace};
    s.transmittance = space.take(pixels);
    s.depth = space.take(pixels);
    s.last = reinterpret_cast<Lane*>(space.take(pixels));
    s.weight = space.take(pixels + L);
    s.pixel = reinterpret_cast<Lane*>(space.take(pixels + L));
    s.row = space.take(s.row_size);
    s.image = space.take(pixels * s.row_size);
    for (int64_t i = 0; i < pixels; ++i) {
        s.transmittance[i] = -1;
        s.depth[i] = 0;
        s.last[i] = -1;
    }
    s.blocks.for_runs([&](int64_t, int64_t, int64_t at, auto count) {
        for (int64_t x = 0; x < count; ++x) s.transmittance[at + x] = 1;
    });
    memset(s.row, 0, sizeof(T) * static_cast<size_t>(s.row_size));
    memset(s.image, 0, sizeof(T) * static_cast<size_t>(pixels * s.row_size));
    return s;
}

/// Draws all of the surfel at position i but many channels, for which it lists its samples instead
/// and returns their number. open: pixels that have not ended. kChannels: see with_channels.
template <class M, int kChannels>
FMGS_HD int64_t draw_samples(const ForwardTile<typename M::Scalar>& t,
                             const ForwardState<M>& of_tile, int64_t i, int64_t& open) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    using Lane = typename M::Lane;
    // Copies: a store of a pack might change anything that is not local.
    const Projected<T> s = t.surfels[t.indices[i]];
    const ForwardState<M> state = of_tile;
    const Blocks<M> blocks = state.blocks;
    T feature[kFewChannels];
    for (int k = 0; k < kChannels; ++k) feature[k] = t.features[t.indices[i] * t.channels + k];
    int64_t n = 0;
    blocks.for_box(t, s, [&](int64_t at, V dx, V dy) {
        const V before = M::load(state.transmittance + at);
        const auto reached = M::less(M::set(0), before);
        if (!M::bits(reached)) return;
        const auto sample = sample_alpha<M>(s, dx, dy);
        const auto mask = reached & M::at_most(M::set(T(kAlphaMin)), sample.alpha);
        const V after = before * (T(1) - sample.alpha);
        const auto end = mask & M::less(after, M::set(T(kTransmittanceMin)));
        const auto draw = mask & ~end;
        M::store(state.transmittance + at, M::select(draw, after, M::select(end, -before, before)));
        open -= __builtin_popcount(M::bits(end));
        const V drawn = M::select(draw, sample.alpha * before, M::set(0));
        const auto hit = sample_hit<M>(s, sample);
        M::store(state.depth + at,
                 M::load(state.depth + at) + M::select(draw, drawn * hit.z, M::set(0)));
        M::store_lanes(state.last + at, M::select(draw, M::set_lanes(static_cast<Lane>(i)),
                                                  M::load_lanes(state.last + at)));
        if constexpr (kChannels == kMany) {
            const unsigned bits = M::bits(draw);
            const auto compact = M::compaction(bits);
            M::compress(state.weight + n, drawn, compact);
            M::compress_lanes(state.pixel + n, static_cast<Lane>(at), compact);
            n += __builtin_popcount(bits);
        }
        for (int k = 0; k < kChannels; ++k) {
            T* const out = state.image + k * state.pixels + at;
            M::store(out, M::load(out) + drawn * feature[k]);
        }
    });
    return n;
}

/// Adds many channels of a surfel to the n samples listed.
template <class M>
FMGS_HD void add_features(const ForwardTile<typename M::Scalar>& t, const ForwardState<M>& state,
                          int32_t surfel, int64_t n) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    constexpr int L = M::kLanes;
    memcpy(state.row, t.features + surfel * t.channels,
           sizeof(T) * static_cast<size_t>(state.channels));
    for_packs<M>(state.row_size, [&](int64_t first, auto packs) {
        constexpr int N = decltype(packs)::value;
        V f[N];
        for (int k = 0; k < N; ++k) f[k] = M::load(state.row + first + k * L);
        for (int64_t m = 0; m < n; ++m) {
            T* const out = state.image + state.pixel[m] * state.row_size + first;
            for (int k = 0; k < N; ++k)
                M::store(out + k * L, M::load(out + k * L) + state.weight[m] * f[k]);
        }
    });
}

/// From the tile to the image.
template <class M>
FMGS_HD void write_pixels(const ForwardTile<typename M::Scalar>& t, const ForwardState<M>& state) {
    using T = typename M::Scalar;
    const int64_t pixel_step = state.few ? 1 : state.row_size,
                  channel_step = state.few ? state.pixels : 1;
    state.blocks.for_runs([&](int64_t x, int64_t y, int64_t at, auto count) {
        const int64_t out = (t.y0 + y) * t.width + t.x0 + x;
        for (int64_t j = 0; j < count; ++j) {
            const T kept = state.transmittance[at + j], final = kept < 0 ? -kept : kept;
            t.transmittance[out + j] = final;
            t.alpha[out + j] = 1 - final;
            t.depth[out + j] = state.depth[at + j];
            t.last[out + j] = static_cast<int32_t>(state.last[at + j]);
        }
        for (int64_t k = 0; k < state.channels; ++k) {
            T* const plane = t.image + k * t.width * t.height + out;
            for (int64_t j = 0; j < count; ++j)
                plane[j] = state.image[(at + j) * pixel_step + k * channel_step];
        }
    });
}

template <class M>
void forward(const ForwardTile<typename M::Scalar>& t) {
    const ForwardState<M> state = forward_state<M>(t);
    int64_t open = state.blocks.w * state.blocks.h;
    for (int64_t i = 0; i < kAhead; ++i) prefetch(t, i);
    with_channels(state.channels, state.few, [&](auto channels) {
        for (int64_t i = 0; i < t.count && open > 0; ++i) {
            prefetch(t, i + kAhead);
            const int64_t n = draw_samples<M, decltype(channels)::value>(t, state, i, open);
            if (n > 0) add_features<M>(t, state, t.indices[i], n);
        }
    });
    write_pixels<M>(t, state);
}

}  // namespace
}  // namespace fmgs::raster::FMGS_SET
