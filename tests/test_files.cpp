// What opens files: pipes, devices and folders are refused, and the system's reason is told.
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmgs/core/io/safetensors.h>
#include <fmgs/core/memory.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/priors.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>

#include "support/limits.h"
#include "support/test.h"

using namespace fmgs;
using fmgs::test::TemporaryFolder;
using fmgs::test::throws_error;
namespace fs = std::filesystem;

namespace {

/// True when f ends with true in a process of its own within five seconds.
bool ends_well(const std::function<bool()>& f) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(5);
        ::_exit(f() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

const std::vector<std::function<void(const fs::path&)>> kReaders = {
    [](auto& file) { read_whole(file); },        [](auto& file) { read_first(file, 4); },
    [](auto& file) { read_text(file); },         [](auto& file) { read_npz(file); },
    [](auto& file) { read_npy(file); },          [](auto& file) { read_safetensors(file); },
    [](auto& file) { read_prior_format(file); }, [](auto& file) { read_color(file); },
    [](auto& file) { read_gray(file); },
};

}  // namespace

TEST_CASE("a pipe, a device, a socket or a folder is refused by every reader and never waited for",
          "[files]") {
    TemporaryFolder folder;
    REQUIRE(::mkfifo((folder.path / "pipe").c_str(), 0600) == 0);
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, (folder.path / "socket").c_str(), sizeof address.sun_path - 1);
    REQUIRE(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    for (const auto& [path, kind] :
         {std::pair{folder.path / "pipe", "a pipe"}, std::pair{fs::path("/dev/zero"), "a device"},
          std::pair{folder.path / "socket", "a socket"}, std::pair{folder.path, "a folder"}}) {
        for (size_t k = 0; k < kReaders.size(); ++k) {
            INFO(path << " by reader " << k);
            CHECK(ends_well([&, p = path, words = std::string("expected a file, got ") + kind] {
                return throws_error([&] { kReaders[k](p); },
                                    p.string() + ": cannot be read: " + words);
            }));
        }
    }
    ::close(socket);
}

TEST_CASE("a file that may not be read says so, and one that is not there, too", "[files]") {
    TemporaryFolder folder;
    const auto locked = folder.path / "locked";
    std::ofstream(locked) << "secret";
    fs::permissions(locked, fs::perms(0));
    fs::create_directory(folder.path / "closed");
    std::ofstream(folder.path / "closed/file") << "text";
    fs::permissions(folder.path / "closed", fs::perms(0));
    // Permissions do not bind root: as nobody.
    const auto as_user = [&](const std::function<bool()>& f) {
        fs::permissions(folder.path, fs::perms(0755));
        return ends_well([&] { return (::geteuid() != 0 || ::setuid(65534) == 0) && f(); });
    };
    for (size_t k = 0; k < kReaders.size(); ++k) {
        INFO("reader " << k);
        CHECK(as_user([&] {
            return throws_error([&] { kReaders[k](locked); },
                                locked.string() + ": cannot be read: Permission denied");
        }));
        CHECK(throws_error([&] { kReaders[k](folder.path / "none"); },
                           "none: cannot be read: No such file or directory"));
    }
    CHECK(as_user([&] {
        return throws_error([&] { is_there(folder.path / "closed/file"); },
                            "closed/file: cannot be looked at: Permission denied");
    }));
    CHECK(is_there(locked));
    CHECK_FALSE(is_there(folder.path / "none"));
    CHECK_FALSE(is_there(locked / "below"));
    fs::permissions(folder.path / "closed", fs::perms(0755));
}

TEST_CASE("text is read without a byte order mark; UTF-16 is refused", "[files]") {
    TemporaryFolder folder;
    const auto file = folder.path / "a.txt";
    write_whole(file,
                "\xEF\xBB\xBF"
                "a\n");
    REQUIRE(read_text(file) == "a\n");
    REQUIRE(read_first(file, 3) == "\xEF\xBB\xBF");
    REQUIRE(read_first(file, 100).size() == 5);
    write_whole(file, std::string_view("\xFF\xFE"
                                       "a\0",
                                       4));
    REQUIRE(throws_error([&] { read_text(file); }, "expected text in UTF-8, got UTF-16"));
}

TEST_CASE("a folder is put in the place of another, whole", "[files]") {
    TemporaryFolder folder;
    const auto to = folder.path / "a", aside = folder.path / "aside";
    for (const char* text : {"first", "second"}) {
        write_whole(aside / "file", text);
        if (fs::exists(to)) write_whole(to / "left_over", "old");
        replace_folder(aside, to);
        REQUIRE(read_whole(to / "file") == text);
        REQUIRE_FALSE(fs::exists(to / "left_over"));
        REQUIRE(std::distance(fs::directory_iterator(folder.path), {}) == 1);
    }
    REQUIRE(throws_error([&] { replace_folder(aside, to); }, "a: cannot rename"));
    REQUIRE(read_whole(to / "file") == "second");
}

TEST_CASE("more memory than there is is refused before it is taken", "[files]") {
    REQUIRE(free_memory() > 1e6);
    REQUIRE(memory_text(8.84e9) == "8.8 GB");
    REQUIRE(memory_text(12.4e6) == "12 MB");
    check_memory(1e6, "a", "b");
    REQUIRE(throws_error([] { check_memory(1e18, "x.npz", "use less"); },
                         "x.npz: takes about 1000000000.0 GB of memory, "));
    REQUIRE(test::with_little_memory(100 << 20, [] {
        return free_memory() <= 100 << 20 &&
               throws_error([] { check_memory(2e8, "a", "use less"); }, " are free; use less");
    }));
}
