#pragma once
/// Pictures of radiance as files: Radiance .hdr, as panoramas of light are shared.
#include <torch/types.h>

#include <filesystem>

namespace fmgs {

/// Linear radiance [H,W,3], float32, without the file's EXPOSURE. Runs of the newer kind, and
/// pixels one by one. Error: no such file, OpenEXR or another format, XYZE, a turned or mirrored
/// picture, runs of the older kind, damage, no memory for it.
torch::Tensor read_radiance(const std::filesystem::path& file);
/// [H,W,3] ≥ 0 → such a file; each pixel has 8 bits of its largest channel. Error: radiance that is
/// negative or beyond 1e38; disk full.
void write_radiance(const std::filesystem::path& file, const torch::Tensor& picture);

}  // namespace fmgs
