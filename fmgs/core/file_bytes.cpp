#include <fcntl.h>
#include <fmgs/core/check.h>
#include <fmgs/core/file_bytes.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

namespace fmgs::detail {
namespace {

struct Descriptor {
    int value;
    ~Descriptor() {
        if (value >= 0) ::close(value);
    }
};

bool write_all(int descriptor, const char* data, size_t size) {
    while (size > 0) {
        const ssize_t written = ::write(descriptor, data, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        data += written;
        size -= static_cast<size_t>(written);
    }
    return true;
}

}  // namespace

std::vector<uint8_t> read_bytes(const std::filesystem::path& file) {
    std::error_code error;
    const auto size = std::filesystem::file_size(file, error);
    if (error) throw Error("{}: cannot be read: {}", file.string(), error.message());
    std::ifstream stream(file, std::ios::binary);
    std::vector<uint8_t> bytes(size);
    if (!stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size))) {
        throw Error("{}: cannot be read: {}", file.string(), std::strerror(errno));
    }
    return bytes;
}

void write_bytes(const std::filesystem::path& file, const void* data, size_t size) {
    const auto fail = [&](const char* step) {
        return Error("{}: cannot be written ({}): {}", file.string(), step, std::strerror(errno));
    };
    const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) throw Error("{}: cannot make the folder: {}", folder.string(), error.message());
    // The name holds the process id, so that two runs never write the same side file.
    const auto side = folder / fmt::format(".{}.{}.tmp", file.filename().string(), ::getpid());
    {
        const Descriptor out{::open(side.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
        if (out.value < 0) throw fail("open");
        if (!write_all(out.value, static_cast<const char*>(data), size) ||
            ::fsync(out.value) != 0) {
            const auto problem = fail("write");
            ::unlink(side.c_str());
            throw problem;
        }
    }
    if (::rename(side.c_str(), file.c_str()) != 0) {
        const auto problem = fail("rename");
        ::unlink(side.c_str());
        throw problem;
    }
    const Descriptor directory{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (directory.value >= 0) ::fsync(directory.value);  // makes the rename itself last
}

}  // namespace fmgs::detail
