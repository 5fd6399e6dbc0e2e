#pragma once
/// Files that are either whole or not there: the one place that reads and writes bytes of files.
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

namespace fmgs {

/// The bytes of a file. Error naming it, with the system's reason, when it cannot be read, and for
/// what is no file (a folder, a pipe, a device): nothing waits for a writer.
std::string read_whole(const std::filesystem::path& file);
/// At most the first `size` bytes: what a header takes. Errors likewise.
std::string read_first(const std::filesystem::path& file, size_t size);
/// The text of a file without the byte order mark that some editors put in front. Error for UTF-16.
std::string read_text(const std::filesystem::path& file);
/// Whether something is there. Error when that cannot be told, e.g. for want of permission.
bool is_there(const std::filesystem::path& path);
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
/// Puts the folder `aside` in the place of `folder` at one stroke, where the file system can, and
/// removes what was there. Both lie in the same folder.
void replace_folder(const std::filesystem::path& aside, const std::filesystem::path& folder);

/// Error when `what` is of a newer format than the `newest` that this library reads; names both.
void check_format(const std::string& what, int64_t format, int64_t newest);

}  // namespace fmgs
