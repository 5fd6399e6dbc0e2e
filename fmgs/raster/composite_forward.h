/// Drawing a tile; part of composite_tile.h.
namespace fmgs::raster::FMGS_SET {
namespace {

template <class M>
void forward(const ForwardTile<typename M::Scalar>& t) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    using Lane = typename M::Lane;
    constexpr int L = M::kLanes;
    const int64_t w = t.x1 - t.x0, h = t.y1 - t.y0, stride = round_up(w, L), pixels = h * stride;
    const int64_t channels = t.image ? t.channels : 0,
                  row_size = round_up(channels, M::kLanes);
    Workspace<T> space{t.workspace};
    T* const transmittance = space.take(pixels);  // negative: the pixel has ended
    T* const depth = space.take(pixels);
    Lane* const last = reinterpret_cast<Lane*>(space.take(pixels));
    T* const weight = space.take(pixels + L);  // of the surfel's pairs
    Lane* const pixel = reinterpret_cast<Lane*>(space.take(pixels + L));
    T* const row = space.take(row_size);
    T* const image = space.take(pixels * row_size);
    for (int64_t i = 0; i < pixels; ++i) {
        transmittance[i] = i % stride < w ? T(1) : T(-1);
        depth[i] = 0;
        last[i] = -1;
    }
    memset(row, 0, sizeof(T) * static_cast<size_t>(row_size));
    memset(image, 0, sizeof(T) * static_cast<size_t>(pixels * row_size));

    int64_t open = w * h;
    for (int64_t i = 0; i < kAhead; ++i) prefetch(t, i);
    for (int64_t i = 0; i < t.count && open > 0; ++i) {
        prefetch(t, i + kAhead);
        const Projected<T>& s = t.surfels[t.indices[i]];
        const Box box = clip(s, t);
        int64_t n = 0;
        for (int32_t x = first_pack<L>(box, t); x <= box.x1; x += L) {
            const V dx = (static_cast<T>(x) + T(0.5)) + M::iota() - s.c0;
            for (int32_t y = box.y0; y <= box.y1; ++y) {
                const int64_t at = (y - t.y0) * stride + (x - t.x0);
                const V before = M::load(transmittance + at);
                const auto reached = before > T(0);
                if (!M::bits(reached)) continue;
                const V dy = M::set(static_cast<T>(y) + T(0.5) - s.c1);
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

}  // namespace
}  // namespace fmgs::raster::FMGS_SET
