#include <fmgs/core/io/files.h>

#include <fcntl.h>
#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const fs::path& path, const char* what) {
    throw Error(fmt::format("{}: cannot {}: {}", path.string(), what, std::strerror(errno)));
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

std::string read_whole(const fs::path& file) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    if (error) throw Error(fmt::format("{}: cannot be read: {}", file.string(), error.message()));
    std::ifstream stream(file, std::ios::binary);
    std::string bytes(size, '\0');
    if (!stream.read(bytes.data(), static_cast<std::streamsize>(size))) {
        throw Error(
            fmt::format("{}: cannot be read to its end: {}", file.string(), std::strerror(errno)));
    }
    return bytes;
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

void check_format(const std::string& what, int64_t format, int64_t newest) {
    if (format >= 1 && format <= newest) return;
    throw Error(
        fmt::format("{}: is of format {}; the newest that this version of the library reads is {}",
                    what, format, newest));
}

}  // namespace fmgs
