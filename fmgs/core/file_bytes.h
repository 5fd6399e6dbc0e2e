#pragma once
/// Whole files as bytes: read at once, or written aside, synced and renamed so that a reader never
/// sees half a file.
#include <cstdint>
#include <filesystem>
#include <vector>

namespace fmgs::detail {

/// Error naming the file when it cannot be read.
std::vector<uint8_t> read_bytes(const std::filesystem::path& file);
/// Replaces `file` in one step; makes its folder when missing. On an Error the earlier file is
/// untouched.
void write_bytes(const std::filesystem::path& file, const void* data, size_t size);

}  // namespace fmgs::detail
