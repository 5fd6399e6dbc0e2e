#pragma once
/// Checkpoints: safetensors files (bytes and a JSON header, nothing executable), whole or not
/// there.
#include <fmgs/core/io/safetensors.h>
#include <fmgs/core/named_tensors.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>

namespace fmgs {

/// state.json; the version of the checkpoint's format stands beside it.
struct TrainState {
    int64_t step = 0;  ///< steps done
    /// higher is better (PSNR); NaN: not measured
    double score = std::numeric_limits<double>::quiet_NaN();
};

/// What a checkpoint folder holds.
struct Checkpoint {
    std::filesystem::path folder;
    TrainState state;
};

/// Writes CHECKPOINTS/STEP/{model.safetensors, optimizer.safetensors, state.json}: aside, synced,
/// renamed at once; then removes all but the last two and the best. After an Error (disk full, no
/// permission, a tensor that is not finite) all earlier checkpoints are still there.
std::filesystem::path save_checkpoint(const std::filesystem::path& checkpoints,
                                      const TrainState& state, const TensorDict& model,
                                      const TensorDict& optimizer);
/// All checkpoints, by step. What an interrupted save left behind is not one; the next save removes
/// it. Nor is one whose state.json is damaged.
std::vector<Checkpoint> list_checkpoints(const std::filesystem::path& checkpoints);
/// The newest. Error when its state.json is damaged, with the way back to the one before.
std::optional<Checkpoint> latest_checkpoint(const std::filesystem::path& checkpoints);
/// Reads a checkpoint into tensors of the same names (named_tensors, Optimizer::state). Without
/// `optimizer`, for drawing, only the model is read; what its losses own (losses.…) is left out,
/// and a pose projection that `model` does not have. Error: a newer format, with both versions;
/// bytes that are not those that were saved, with the way back to an earlier checkpoint; every
/// mismatch of model and optimizer at once. Nothing is copied then.
TrainState load_checkpoint(const std::filesystem::path& checkpoint, const TensorDict& model,
                           const TensorDict* optimizer = nullptr);

}  // namespace fmgs
