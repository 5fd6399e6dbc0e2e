#pragma once
/// The frames that training draws, in its order.
#include <fmgs/run/run.h>
#include <fmgs/train/batch.h>

namespace fmgs {

/// The training frames as training reads them, without exact maps. On a GPU they lie there as far
/// as they fit into half of its free memory; the others come over each time. `note` says how many;
/// empty on the CPU.
FrameList training_frames(const Run& run, std::string& note);

/// Which of `count` frames so many draws from `draw` on take: in random order, each once per epoch.
/// Stateless, so that a resumed run goes on with the same frames.
std::vector<size_t> frames_of(size_t count, int64_t draw, size_t draws, uint64_t seed);

/// The frame of a draw on a rank with this share, while those of its next draws are decoded.
Frame draw_frame(const FrameList& frames, int64_t draw, uint64_t seed, const Share& share = {});

}  // namespace fmgs
