#include <fcntl.h>
#include <fmgs/core/check.h>
#include <fmgs/train/files.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const fs::path& path, const char* what) {
    throw Error("{}: cannot {}: {}", path.string(), what, std::strerror(errno));
}

struct Descriptor {
    int value;
    ~Descriptor() {
        if (value >= 0) ::close(value);
    }
};

}  // namespace

void write_synced(const fs::path& path, std::initializer_list<std::string_view> parts) {
    const Descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
    if (file.value < 0) fail(path, "create");
    for (auto part : parts) {
        while (!part.empty()) {
            const ssize_t written = ::write(file.value, part.data(), part.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) fail(path, "write");
            part.remove_prefix(static_cast<size_t>(written));
        }
    }
    if (::fsync(file.value) != 0) fail(path, "write to the disk");
}

void sync_folder(const fs::path& folder) {
    const Descriptor file{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (file.value < 0) fail(folder, "open the folder");
    if (::fsync(file.value) != 0 && errno != EINVAL) fail(folder, "write to the disk");
}

void write_whole(const fs::path& path, std::string_view text) {
    const fs::path aside = path.parent_path() / fmt::format(".{}.tmp", path.filename().string());
    try {
        write_synced(aside, {text});
        if (::rename(aside.c_str(), path.c_str()) != 0) fail(path, "rename into place");
    } catch (...) {
        std::error_code ignored;
        fs::remove(aside, ignored);
        throw;
    }
}

std::string read_whole(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file || fs::is_directory(path)) throw Error("{}: cannot be read", path.string());
    std::string bytes(fs::file_size(path), '\0');
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!file) throw Error("{}: cannot be read to its end", path.string());
    return bytes;
}

}  // namespace fmgs
