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

/// Adds up the slots of every surfel in the order of the tiles and turns the sums into gradients.
template <class T>
RasterizeGradients reduce(const Call<T>& call, const T* slots, const uint8_t* touched,
                          bool needs_features) {
    const auto& in = call.in;
    const auto inverse =
        invert(in.indices.template const_data_ptr<int32_t>(), in.indices.numel(), call.n);
    RasterizeGradients out{
        torch::empty_like(in.center), torch::empty_like(in.tangents), torch::empty_like(in.opacity),
        needs_features ? torch::empty_like(in.features) : torch::zeros_like(in.features),
        torch::empty_like(in.intrinsics)};
    SlotRows<T> rows{inverse.first.data(),
                     inverse.second.data(),
                     slots,
                     touched,
                     call.channel.data(),
                     call.n,
                     call.channels,
                     call.routes,
                     out.center.template data_ptr<T>(),
                     out.tangents.template data_ptr<T>(),
                     out.opacity.template data_ptr<T>(),
                     needs_features ? out.features.template data_ptr<T>() : nullptr,
                     nullptr};
    // Chunks do not depend on the number of threads, and so neither does the order of any sum.
    constexpr int64_t kChunk = 1024;
    const int64_t chunks = (call.n + kChunk - 1) / kChunk;
    std::vector<std::array<T, 4>> partial(static_cast<size_t>(chunks), std::array<T, 4>{});
    at::parallel_for(0, chunks, 1, [&](int64_t first, int64_t last) {
        std::vector<T> workspace(
            static_cast<size_t>(slot_workspace_size(call.channels, call.routes)));
        SlotRows<T> own = rows;
        own.workspace = workspace.data();
        for (int64_t c = first; c < last; ++c)
            call.functions.gather(call.rows, own, c * kChunk, std::min((c + 1) * kChunk, call.n),
                                  partial[static_cast<size_t>(c)].data());
    });
    std::array<T, 4> total{};
    for (const auto& part : partial) {
        for (size_t c = 0; c < 4; ++c) total[c] += part[c];
    }
    std::copy(total.begin(), total.end(), out.intrinsics.template data_ptr<T>());
    return out;
}

}  // namespace fmgs::raster
