#pragma once
/// The safetensors format: named tensors as bytes with a JSON header, nothing executable.
#include <fmgs/core/tensor_dict.h>

#include <filesystem>
#include <map>

namespace fmgs {

/// What a file says about itself: the strings of `__metadata__` by key.
using Metadata = std::map<std::string, std::string>;

/// A safetensors file: 8 bytes of header length, a JSON header name → {dtype, shape, data_offsets},
/// the bytes, little endian, in the order of the map. Error: undefined tensor, dtype that the
/// format lacks, text that is not UTF-8, a header of more than 1 MB, disk full.
void write_safetensors(const std::filesystem::path& file, const TensorDict& tensors,
                       const Metadata& metadata = {});
/// Error when the bytes are not one whole and consistent file: sizes are checked before anything is
/// allocated; offsets that overlap, leave holes or reach out of the file are refused, and so is
/// metadata other than strings. `what` names the file in messages.
TensorDict parse_safetensors(const char* data, size_t size, const std::string& what,
                             Metadata* metadata = nullptr);
TensorDict read_safetensors(const std::filesystem::path& file, Metadata* metadata = nullptr);
/// What such a file says about itself, without its tensors; empty when it says nothing or is
/// something else, which read_safetensors tells. Error when it cannot be read.
Metadata read_metadata(const std::filesystem::path& file);

/// Error unless the metadata's `format` is "KIND N" with N ≤ newest; it says what the file is
/// instead, or both versions.
void check_kind(const Metadata& metadata, const std::string& kind, int64_t newest,
                const std::string& what);

}  // namespace fmgs
