#pragma once
/// The end of the CPU's backward pass: the slots of every surfel added up in a fixed order.
#include <fmgs/raster/cpu/call.h>

#include <array>

namespace fmgs::raster {

/// Positions at which each surfel stands in the tiles' lists, in order: [offsets [N+1], positions
/// [P]].
inline std::pair<std::vector<int32_t>, std::vector<int32_t>> invert(const int32_t* indices,
                                                                    int64_t intersections,
                                                                    int64_t n) {
    std::vector<int32_t> start(static_cast<size_t>(n + 1), 0),
        position(static_cast<size_t>(intersections));
    for (int64_t i = 0; i < intersections; ++i) ++start[static_cast<size_t>(indices[i]) + 1];
    std::partial_sum(start.begin(), start.end(), start.begin());
    std::vector<int32_t> next(start.begin(), start.end() - 1);
    for (int64_t i = 0; i < intersections; ++i)
        position[static_cast<size_t>(next[static_cast<size_t>(indices[i])]++)] =
            static_cast<int32_t>(i);
    return {std::move(start), std::move(position)};
}

/// The slots of a backward pass.
template <class T>
struct Slots {
    const T* values;         ///< [P, size]
    const uint8_t* touched;  ///< [P] the slot was written
    int64_t size;            ///< routes·kSums + channels
    int64_t used;            ///< without the gradient of the features, if that is not needed

    /// Asks for a slot some time before it is read: those of a surfel lie anywhere.
    FMGS_HD void prefetch(int32_t position) const {
        for (int64_t c = 0; c < used; c += kCacheLine / static_cast<int64_t>(sizeof(T)))
            __builtin_prefetch(values + position * size + c);
    }
    /// The sum of the slots at these positions, in their order; false when none was written.
    FMGS_HD bool add_up(const int32_t* first, const int32_t* last, T* sum) const {
        bool any = false;
        for (; first < last; ++first) {
            if (!touched[*first]) continue;
            const T* const slot = values + *first * size;
            if (!any) {
                std::copy(slot, slot + used, sum);
            } else {
                for (int64_t c = 0; c < used; ++c) sum[c] += slot[c];
            }
            any = true;
        }
        if (!any) std::fill_n(sum, used, T(0));
        return any;
    }
};

/// Where the gradients of the surfels go, as RasterizeGradients; features: null, if not needed.
template <class T>
struct GradientRows {
    T *center, *tangents, *opacity, *features;

    /// From the sums of a surfel; the gradient of the intrinsics is added. any: it has samples.
    FMGS_HD void write(const Call<T>& call, int64_t i, bool any, const T* sum, const T* k,
                       T* intrinsics) const {
        // Copies: what the routes share is then seen not to change while gradients are written.
        const Surfel<T> surfel = call.surfel(i);
        const Projected<T> projected = call.surfels[static_cast<size_t>(i)];
        for (int64_t r = 0; r < call.routes; ++r) {
            Surfel<T> g{};
            if (any) project_vjp(surfel, k, projected, sum + r * kSums, g, intrinsics);
            const int64_t row = r * call.n + i;
            opacity[row] = g.opacity;
            for (int64_t c = 0; c < 3; ++c) {
                center[3 * row + c] = g.p[c];
                tangents[6 * row + 2 * c] = g.a[c];
                tangents[6 * row + 2 * c + 1] = g.b[c];
            }
        }
        for (int64_t c = 0; features && c < call.channels; ++c)
            features[i * call.channels + call.channel[static_cast<size_t>(c)]] =
                sum[call.routes * kSums + c];
    }
};

/// Adds up the slots of every surfel in the order of the tiles and turns the sums into gradients.
template <class T>
RasterizeGradients reduce(const Call<T>& call, const T* values, const uint8_t* touched,
                          bool needs_features) {
    const auto& in = call.in;
    const auto inverse =
        invert(in.indices.template const_data_ptr<int32_t>(), in.indices.numel(), call.n);
    const int32_t *start = inverse.first.data(), *position = inverse.second.data();
    RasterizeGradients out{
        torch::empty_like(in.center), torch::empty_like(in.tangents), torch::empty_like(in.opacity),
        needs_features ? torch::empty_like(in.features) : torch::zeros_like(in.features),
        torch::empty_like(in.intrinsics)};
    const GradientRows<T> rows{out.center.template data_ptr<T>(),
                               out.tangents.template data_ptr<T>(),
                               out.opacity.template data_ptr<T>(),
                               needs_features ? out.features.template data_ptr<T>() : nullptr};
    const int64_t sums_size = call.routes * kSums, size = sums_size + call.channels;
    const Slots<T> slots{values, touched, size, needs_features ? size : sums_size};
    // Chunks do not depend on the number of threads, and so neither does the order of any sum.
    constexpr int64_t kChunk = 1024, kAhead = 8;
    const int64_t chunks = (call.n + kChunk - 1) / kChunk;
    std::vector<std::array<T, 4>> partial(static_cast<size_t>(chunks), std::array<T, 4>{});
    at::parallel_for(0, chunks, 1, [&](int64_t first, int64_t last) {
        std::vector<T> sum(static_cast<size_t>(size));
        std::array<T, 4> k{};
        std::copy_n(in.intrinsics.template const_data_ptr<T>(), 4, k.begin());
        const int64_t end = std::min(last * kChunk, call.n);
        for (int64_t i = first * kChunk; i < end; ++i) {
            const int64_t next = std::min(i + kAhead, end);
            for (int32_t j = start[next]; next < end && j < start[next + 1]; ++j)
                slots.prefetch(position[j]);
            const bool any = slots.add_up(position + start[i], position + start[i + 1], sum.data());
            rows.write(call, i, any, sum.data(), k.data(),
                       partial[static_cast<size_t>(i / kChunk)].data());
        }
    });
    std::array<T, 4> total{};
    for (const auto& part : partial) {
        for (size_t c = 0; c < 4; ++c) total[c] += part[c];
    }
    std::copy(total.begin(), total.end(), out.intrinsics.template data_ptr<T>());
    return out;
}

}  // namespace fmgs::raster
