#pragma once
/// Files that are either whole or not there: the one place that reads and writes bytes of files.
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

namespace fmgs {

/// The bytes of a file. Error naming it when it cannot be read.
std::string read_whole(const std::filesystem::path& file);
/// Replaces `file` by these parts one after the other: written beside it, synced, renamed, so that
/// a reader sees the old bytes or the new ones. Makes the folder when it is missing. On an Error,
/// which has the system's reason (disk full, no permission), the earlier file is untouched.
void write_whole(const std::filesystem::path& file, std::initializer_list<std::string_view> parts);
inline void write_whole(const std::filesystem::path& file, std::string_view text) {
    write_whole(file, {text});
}
/// Writes and syncs `file` in place: for what is renamed into place with its whole folder.
void write_synced(const std::filesystem::path& file, std::initializer_list<std::string_view> parts);
/// Makes renames inside `folder` durable.
void sync_folder(const std::filesystem::path& folder);

/// Error when `what` is of a newer format than the `newest` that this library reads; names both.
void check_format(const std::string& what, int64_t format, int64_t newest);

}  // namespace fmgs
