#include <fmgs/core/io/files.h>

#include <fcntl.h>
#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <system_error>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const fs::path& path, const char* what) {
    throw Error(fmt::format("{}: cannot {}: {}", path.string(), what, std::strerror(errno)));
}

/// Error unless this is a file.
void refuse_kind(const fs::path& path, mode_t mode) {
    if (S_ISREG(mode)) return;
    const char* kind = S_ISDIR(mode)    ? "a folder"
                       : S_ISFIFO(mode) ? "a pipe"
                       : S_ISSOCK(mode) ? "a socket"
                                        : "a device";
    throw Error(fmt::format("{}: cannot be read: expected a file, got {}", path.string(), kind));
}

struct Descriptor {
    int value;
    ~Descriptor() {
        if (value >= 0) ::close(value);
    }
};

/// Writes and syncs `path`; messages speak of `file`, which it may stand aside for.
void write_parts(const fs::path& path, std::initializer_list<std::string_view> parts,
                 const fs::path& file) {
    const Descriptor out{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
    if (out.value < 0) fail(file, "create");
    for (auto part : parts) {
        while (!part.empty()) {
            const ssize_t written = ::write(out.value, part.data(), part.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) fail(file, "write");
            part.remove_prefix(static_cast<size_t>(written));
        }
    }
    if (::fsync(out.value) != 0) fail(file, "write to the disk");
}

}  // namespace

std::string read_whole(const fs::path& file) { return read_first(file, SIZE_MAX); }

std::string read_first(const fs::path& file, size_t size) {
    // Not blocking: a pipe without a writer would hang here, before it can be told from a file.
    const Descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    struct stat status {};
    // A socket cannot be opened; its kind says more than the reason.
    if (in.value < 0 && errno == ENXIO && ::stat(file.c_str(), &status) == 0)
        refuse_kind(file, status.st_mode);
    if (in.value < 0 || ::fstat(in.value, &status) != 0)
        throw Error(fmt::format("{}: cannot be read: {}", file.string(), std::strerror(errno)));
    refuse_kind(file, status.st_mode);
    std::string bytes(std::min(size, static_cast<size_t>(status.st_size)), '\0');
    for (size_t at = 0; at < bytes.size();) {
        const ssize_t count = ::read(in.value, bytes.data() + at, bytes.size() - at);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0)
            throw Error(fmt::format("{}: cannot be read to its end: {}", file.string(),
                                    count < 0 ? std::strerror(errno) : "it became shorter"));
        at += static_cast<size_t>(count);
    }
    return bytes;
}

std::string read_text(const fs::path& file) {
    auto text = read_whole(file);
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
        throw Error(
            fmt::format("{}: expected text in UTF-8, got UTF-16; save it as UTF-8", file.string()));
    if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
    return text;
}

bool is_there(const fs::path& path) {
    std::error_code error;
    const auto status = fs::status(path, error);
    if (status.type() == fs::file_type::not_found) return false;
    if (error)
        throw Error(fmt::format("{}: cannot be looked at: {}", path.string(), error.message()));
    return true;
}

void write_synced(const fs::path& file, std::initializer_list<std::string_view> parts) {
    write_parts(file, parts, file);
}

void sync_folder(const fs::path& folder) {
    const Descriptor file{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (file.value < 0) fail(folder, "open the folder");
    if (::fsync(file.value) != 0 && errno != EINVAL) fail(folder, "write to the disk");
}

void write_whole(const fs::path& file, std::initializer_list<std::string_view> parts) {
    const auto folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
    std::error_code error;
    fs::create_directories(folder, error);
    if (error)
        throw Error(
            fmt::format("{}: cannot make the folder: {}", folder.string(), error.message()));
    // The name holds the process id, so that two processes never write the same side file.
    const auto aside = folder / fmt::format(".{}.{}.tmp", file.filename().string(), ::getpid());
    try {
        write_parts(aside, parts, file);
        if (::rename(aside.c_str(), file.c_str()) != 0) fail(file, "rename into place");
    } catch (...) {
        fs::remove(aside, error);
        throw;
    }
    sync_folder(folder);
}

void replace_folder(const fs::path& aside, const fs::path& folder) {
    std::error_code ignored;
    if (::rename(aside.c_str(), folder.c_str()) == 0) return;  // there was none, or an empty one
    if (::renameat2(AT_FDCWD, aside.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) != 0) {
        // Not every file system can exchange two names.
        if (errno != EINVAL && errno != ENOSYS) fail(folder, "rename into place");
        fs::path old = aside;
        old += ".old";
        if (::rename(folder.c_str(), old.c_str()) != 0) fail(folder, "rename");
        if (::rename(aside.c_str(), folder.c_str()) != 0) {
            const int reason = errno;
            ::rename(old.c_str(), folder.c_str());
            errno = reason;
            fail(folder, "rename into place");
        }
        fs::remove_all(old, ignored);
        return;
    }
    fs::remove_all(aside, ignored);
}

void check_format(const std::string& what, int64_t format, int64_t newest) {
    if (format >= 1 && format <= newest) return;
    throw Error(
        fmt::format("{}: is of format {}; the newest that this version of the library reads is {}",
                    what, format, newest));
}

}  // namespace fmgs
