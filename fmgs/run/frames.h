#pragma once
/// The frames that training draws, in its order.
#include <fmgs/run/run.h>

namespace fmgs {

/// The training frames as training reads them: on a GPU their maps lie there in half precision
/// (depth, whose order counts, in float; labels as bytes), if they take less than half of the free
/// memory, else each comes over when its turn is. `note` says which; empty on the CPU.
std::vector<Frame> training_frames(const Run& run, std::string& note);

/// Frames in random order, each once per epoch. Stateless, so that a resumed run goes on with the
/// same frames.
const Frame& frame_of(const std::vector<Frame>& frames, int64_t step, uint64_t seed);

}  // namespace fmgs
