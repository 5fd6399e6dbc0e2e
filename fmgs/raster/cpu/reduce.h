#pragma once
/// The end of the CPU's backward pass: the slots of every surfel added up in a fixed order.
#include <fmgs/raster/cpu/call.h>

#include <array>

namespace fmgs::raster {

/// Slots for every surfel and tile that its box meets.
struct SlotPlaces {
    std::vector<int64_t> start;     ///< [N+1] first slot of each surfel
    std::vector<SlotPlace> places;  ///< [N]

    template <class T>
    explicit SlotPlaces(const Call<T>& call)
        : start(static_cast<size_t>(call.n + 1), 0), places(static_cast<size_t>(call.n)) {
        const auto size = static_cast<int32_t>(call.in.tile_size);
        at::parallel_for(0, call.n, 4096, [&](int64_t first, int64_t last) {
            for (auto i = static_cast<size_t>(first); i < static_cast<size_t>(last); ++i) {
                const TileBox box(call.surfels[i], size);
                places[i] = {-box.y0 * box.width() - box.x0, box.width()};
                start[i + 1] = box.count();
            }
        });
        std::partial_sum(start.begin(), start.end(), start.begin());
        for (size_t i = 0; i < places.size(); ++i) places[i].base += start[i];
    }
};

/// Adds up the slots of every surfel in the order of the tiles and turns the sums into gradients.
template <class T>
RasterizeGradients reduce(const Call<T>& call, const SlotPlaces& places, const T* slots,
                          const uint8_t* touched, bool needs_features) {
    const auto& in = call.in;
    RasterizeGradients out{
        torch::empty_like(in.center), torch::empty_like(in.tangents), torch::empty_like(in.opacity),
        needs_features ? torch::empty_like(in.features) : torch::zeros_like(in.features),
        torch::empty_like(in.intrinsics)};
    SlotRows<T> rows{places.start.data(),
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
