#pragma once
/// Checkpoints: safetensors files (bytes and a JSON header, nothing executable), whole or not
/// there.
#include <fmgs/core/types.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>

namespace fmgs {

/// A safetensors file: 8 bytes of header length, a JSON header name → {dtype, shape, data_offsets},
/// the bytes, little endian, in the order of the map. Error: undefined tensor, dtype that the
/// format lacks, disk full.
void write_safetensors(const std::filesystem::path& file, const Maps& tensors);
/// Error when the bytes are not one whole and consistent file: sizes are checked before anything is
/// allocated; offsets that overlap, leave holes or reach out of the file are refused. `what` names
/// the file in messages.
Maps parse_safetensors(const char* data, size_t size, const std::string& what);
Maps read_safetensors(const std::filesystem::path& file);

/// Parameters and buffers of a module by dotted name, `prefix` in front. They alias the module.
Maps named_tensors(const torch::nn::Module& module, const std::string& prefix = "");
/// Copies values by name. Error that lists *every* missing or unknown name and every other shape or
/// dtype; nothing is copied then.
void copy_tensors(const Maps& from, const Maps& into, const std::string& what);

/// state.json.
struct TrainState {
    int64_t step = 0;  ///< steps done
    double score =
        std::numeric_limits<double>::quiet_NaN();  ///< higher is better (PSNR); NaN: not measured
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
                                      const TrainState& state, const Maps& model,
                                      const Maps& optimizer);
/// All checkpoints, by step. What an interrupted save left behind is not one; the next save removes
/// it.
std::vector<Checkpoint> list_checkpoints(const std::filesystem::path& checkpoints);
std::optional<Checkpoint> latest_checkpoint(const std::filesystem::path& checkpoints);
/// Reads a checkpoint into tensors of the same names (named_tensors, Optimizer::state). Without
/// `optimizer` only the model is read. Error that lists every mismatch of both; nothing is copied
/// then.
TrainState load_checkpoint(const std::filesystem::path& checkpoint, const Maps& model,
                           const Maps* optimizer = nullptr);

}  // namespace fmgs
