#pragma once
/// Files that are either whole or not there: written aside, synced, renamed.
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

namespace fmgs {

/// Writes and syncs `path` in place. Error with the system's reason (disk full, no permission).
void write_synced(const std::filesystem::path& path, std::initializer_list<std::string_view> parts);
/// Replaces `path` at once: a reader sees the old text or the new one. On an Error the old one
/// stays.
void write_whole(const std::filesystem::path& path, std::string_view text);
/// The bytes of a file. Error when it cannot be read.
std::string read_whole(const std::filesystem::path& path);
/// Makes renames inside `folder` durable.
void sync_folder(const std::filesystem::path& folder);

}  // namespace fmgs
