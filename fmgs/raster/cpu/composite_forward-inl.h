/// Drawing a tile; part of composite_tile.h.
namespace fmgs::raster::FMGS_SET {
namespace {

template <class M>
void forward(const ForwardTile<typename M::Scalar>& t) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    using Lane = typename M::Lane;
    constexpr int L = M::kLanes;
    const Blocks<M> blocks(t);
    const int64_t pixels = blocks.pixels, channels = t.image ? t.channels : 0;
    const bool few = channels <= kFewChannels;
    const int64_t row_size = few ? channels : round_up(channels, L);
    const int64_t pixel_step = few ? 1 : row_size, channel_step = few ? pixels : 1;
    Workspace<T> space{t.workspace};
    T* const transmittance = space.take(pixels);  // negative: the pixel has ended
    T* const depth = space.take(pixels);
    Lane* const last = reinterpret_cast<Lane*>(space.take(pixels));
    T* const weight = space.take(pixels + L);  // of the surfel's samples
    Lane* const pixel = reinterpret_cast<Lane*>(space.take(pixels + L));
    T* const row = space.take(row_size);
    T* const image = space.take(pixels * row_size);
    for (int64_t i = 0; i < pixels; ++i) {
        transmittance[i] = -1;
        depth[i] = 0;
        last[i] = -1;
    }
    blocks.for_runs([&](int64_t, int64_t, int64_t at, int64_t count) {
        for (int64_t x = 0; x < count; ++x) transmittance[at + x] = 1;
    });
    memset(row, 0, sizeof(T) * static_cast<size_t>(row_size));
    memset(image, 0, sizeof(T) * static_cast<size_t>(pixels * row_size));

    int64_t open = blocks.w * blocks.h;
    for (int64_t i = 0; i < kAhead; ++i) prefetch(t, i);
    for (int64_t i = 0; i < t.count && open > 0; ++i) {
        prefetch(t, i + kAhead);
        const Projected<T>& s = t.surfels[t.indices[i]];
        const T* const features = t.features + t.indices[i] * t.channels;
        int64_t n = 0;
        blocks.for_box(t, s, [&](int64_t at, V dx, V dy) {
            const V before = M::load(transmittance + at);
            const auto reached = before > T(0);
            if (!M::bits(reached)) return;
            const auto sample = sample_alpha<M>(s, dx, dy);
            const auto mask = reached & (sample.alpha >= T(kAlphaMin));
            const V after = before * (T(1) - sample.alpha);
            const auto end = mask & (after < T(kTransmittanceMin));
            const auto draw = mask & ~end;
            M::store(transmittance + at, M::select(draw, after, M::select(end, -before, before)));
            open -= __builtin_popcount(M::bits(end));
            const V drawn = M::select(draw, sample.alpha * before, M::set(0));
            const auto hit = sample_hit<M>(s, sample);
            M::store(depth + at, M::load(depth + at) + M::select(draw, drawn * hit.z, M::set(0)));
            M::store_mask(last + at,
                          draw ? M::set_lanes(static_cast<Lane>(i)) : M::load_mask(last + at));
            if (few) {
                for (int64_t k = 0; k < channels; ++k) {
                    T* const out = image + k * pixels + at;
                    M::store(out, M::load(out) + drawn * features[k]);
                }
                return;
            }
            const unsigned bits = M::bits(draw);
            const auto compact = M::compaction(bits);
            M::compress(weight + n, drawn, compact);
            M::compress_lanes(pixel + n, static_cast<Lane>(at), compact);
            n += __builtin_popcount(bits);
        });
        if (n == 0) continue;
        memcpy(row, features, sizeof(T) * static_cast<size_t>(channels));
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
    blocks.for_runs([&](int64_t x, int64_t y, int64_t at, int64_t count) {
        const int64_t out = (t.y0 + y) * t.width + t.x0 + x;
        for (int64_t j = 0; j < count; ++j) {
            const T kept = transmittance[at + j], final = kept < 0 ? -kept : kept;
            t.transmittance[out + j] = final;
            t.alpha[out + j] = 1 - final;
            t.depth[out + j] = depth[at + j];
            t.last[out + j] = static_cast<int32_t>(last[at + j]);
        }
        for (int64_t k = 0; k < channels; ++k) {
            T* const plane = t.image + k * t.width * t.height + out;
            for (int64_t j = 0; j < count; ++j)
                plane[j] = image[(at + j) * pixel_step + k * channel_step];
        }
    });
}

}  // namespace
}  // namespace fmgs::raster::FMGS_SET
