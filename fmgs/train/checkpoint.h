#pragma once
/// Checkpoints: safetensors files (bytes and a JSON header, nothing executable), whole or not
/// there.
#include <fmgs/core/io/safetensors.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>

namespace fmgs {

/// Parameters and buffers of a module by dotted name, `prefix` in front. They alias the module.
TensorDict named_tensors(const torch::nn::Module& module, const std::string& prefix = "");
/// Copies values by name. Error that lists *every* missing or unknown name and every other shape or
/// dtype; nothing is copied then.
void copy_tensors(const TensorDict& from, const TensorDict& into, const std::string& what);

/// state.json.
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
/// permission) all earlier checkpoints are still there.
std::filesystem::path save_checkpoint(const std::filesystem::path& checkpoints,
                                      const TrainState& state, const TensorDict& model,
                                      const TensorDict& optimizer);
/// All checkpoints, by step. What an interrupted save left behind is not one; the next save removes
/// it.
std::vector<Checkpoint> list_checkpoints(const std::filesystem::path& checkpoints);
std::optional<Checkpoint> latest_checkpoint(const std::filesystem::path& checkpoints);
/// Reads a checkpoint into tensors of the same names (named_tensors, Optimizer::state). Without
/// `optimizer` only the model is read. Error that lists every mismatch of both; nothing is copied
/// then.
TrainState load_checkpoint(const std::filesystem::path& checkpoint, const TensorDict& model,
                           const TensorDict* optimizer = nullptr);

}  // namespace fmgs
