#pragma once
/// A TorchScript network for what takes one of a user's.
#include <filesystem>

namespace fmgs {

/// Three convolutions with random weights, [B,3,S,S] → [B,32,S/8,S/8]; the same bits each time.
/// Error: it cannot be written.
void write_stand_in_backbone(const std::filesystem::path& file);

}  // namespace fmgs
