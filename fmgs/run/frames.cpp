#include <fmgs/run/frames.h>

#include <fmgs/core/cuda/memory.h>
#include <fmgs/core/random.h>
#include <fmt/format.h>
#include <torch/types.h>

namespace fmgs {

namespace {

/// As few bytes as training can do with.
torch::Tensor compact(const std::string& name, const torch::Tensor& map) {
    if (map.is_floating_point()) return name == "depth" ? map : map.to(torch::kHalf);
    if (map.scalar_type() == torch::kBool || map.numel() == 0) return map;
    const bool bytes = map.min().item<int64_t>() >= 0 && map.max().item<int64_t>() <= 255;
    return bytes ? map.to(torch::kByte) : map;
}

}  // namespace

std::vector<Frame> training_frames(const Run& run, std::string& note) {
    auto frames = run.capture.splits.at("train");
    for (auto& frame : frames) frame.truth = {};  // losses never see it
    if (run.device.is_cpu()) return frames;
    size_t bytes = 0;
    for (auto& frame : frames) {
        Maps maps;
        for (const auto& [name, map] : frame.maps) {
            maps.set(name, compact(name, map));
            bytes += maps.at(name).nbytes();
        }
        frame.maps = std::move(maps);
    }
    const bool fits = static_cast<int64_t>(bytes) < free_memory(run.device) / 2;
    note = fmt::format("{} training frames, {:.0f} MB, {}\n", frames.size(), double(bytes) / 1e6,
                       fits ? "on the GPU" : "too large for the GPU: each comes over for its step");
    if (fits) {
        for (auto& frame : frames) frame = frame.to(run.device);
    }
    return frames;
}

const Frame& frame_of(const std::vector<Frame>& frames, int64_t step, uint64_t seed) {
    const auto count = static_cast<int64_t>(frames.size());
    const auto order =
        torch::randperm(count, Random{seed, step / count}.generator("frames"), torch::kLong);
    return frames[static_cast<size_t>(order[step % count].item<int64_t>())];
}

}  // namespace fmgs
