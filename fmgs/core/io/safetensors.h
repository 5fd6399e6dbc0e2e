#pragma once
/// The safetensors format: named tensors as bytes with a JSON header, nothing executable.
#include <fmgs/core/tensor_dict.h>

#include <filesystem>

namespace fmgs {

/// A safetensors file: 8 bytes of header length, a JSON header name → {dtype, shape, data_offsets},
/// the bytes, little endian, in the order of the map. Error: undefined tensor, dtype that the
/// format lacks, disk full.
void write_safetensors(const std::filesystem::path& file, const TensorDict& tensors);
/// Error when the bytes are not one whole and consistent file: sizes are checked before anything is
/// allocated; offsets that overlap, leave holes or reach out of the file are refused. `what` names
/// the file in messages.
TensorDict parse_safetensors(const char* data, size_t size, const std::string& what);
TensorDict read_safetensors(const std::filesystem::path& file);

}  // namespace fmgs
