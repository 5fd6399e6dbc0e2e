#include <fmgs/run/frames.h>

#include <fmgs/core/cuda/memory.h>
#include <fmgs/core/random.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace fmgs {

FrameList training_frames(const Run& run, std::string& note) {
    const auto frames = run.capture.splits.at("train").without_truth();
    if (run.device.is_cpu() || frames.empty()) return frames;
    const auto room = static_cast<double>(free_memory(run.device)) / 2;
    const auto count = static_cast<double>(frames.size());
    const auto each = static_cast<double>(frames.kept_bytes(0));
    note = fmt::format("{} training frames, {:.0f} MB, {}\n", frames.size(), count * each / 1e6,
                       count * each <= room
                           ? "on the GPU"
                           : fmt::format("too large for the GPU: {:.0f} lie there, the others come "
                                         "over for each step",
                                         std::floor(room / each)));
    return frames.on(run.device, room);
}

std::vector<size_t> frames_of(size_t count, int64_t draw, size_t draws, uint64_t seed) {
    const auto n = static_cast<int64_t>(count);
    torch::Tensor order;
    std::vector<size_t> frames;
    for (const int64_t last = draw + static_cast<int64_t>(draws); draw < last; ++draw) {
        if (frames.empty() || draw % n == 0)
            order = torch::randperm(n, Random{seed, draw / n}.generator("frames"), torch::kLong);
        frames.push_back(static_cast<size_t>(order[draw % n].item<int64_t>()));
    }
    return frames;
}

Frame draw_frame(const FrameList& frames, int64_t draw, uint64_t seed, const Share& share) {
    std::vector<size_t> next;
    while (next.size() < std::max<size_t>(1, frames.ahead())) {
        next.push_back(frames_of(frames.size(), draw, 1, seed).front());
        draw = share.next(draw);
    }
    frames.expect(next);
    return frames[next.front()];
}

}  // namespace fmgs
