#pragma once
/// Ranks for tests: as threads of one process, and as processes with a command line each.
#include <arpa/inet.h>
#include <fmgs/train/ranks.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <map>
#include <thread>

#include "support/test.h"

namespace fmgs::test {

/// A port of this machine for a group that meets there later. It stays bound, so that neither a
/// test beside this one nor a connection is given it; nobody listens on it, and whoever asks for
/// SO_REUSEADDR, as c10d does, still can.
inline uint16_t free_port() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(socket >= 0);
    sockaddr_in address{};
    socklen_t size = sizeof address;
    address.sin_family = AF_INET;
    REQUIRE(::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    const int reuse = 1;  // only now: two that ask for it beforehand may be given the same port
    REQUIRE(::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse) == 0);
    return ntohs(address.sin_port);
}

/// What each of `size` ranks, threads of this process, ends with: an empty text, or its Error.
template <class Work>
std::vector<std::string> on_ranks(int64_t size, Work work, double timeout = 20) {
    std::vector<std::string> ends(static_cast<size_t>(size));
    std::vector<std::thread> threads;
    const auto port = free_port();
    for (int64_t rank = 0; rank < size; ++rank)
        threads.emplace_back([&, rank] {
            // Whoever finds nobody listening yet tries again after a second only.
            if (rank > 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
            try {
                RankEnvironment environment;
                environment.rank = rank;
                environment.size = size;
                environment.address = "127.0.0.1";
                environment.port = port;
                const auto ranks = Ranks::join(environment, timeout);
                work(*ranks);
            } catch (const Error& error) {
                ends[static_cast<size_t>(rank)] = error.what();
            }
        });
    for (auto& thread : threads) thread.join();
    return ends;
}

/// A program that runs beside the test; it does not outlive it.
class Process {
  public:
    /// stdout and stderr go to `log`.
    Process(const std::string& command, const std::map<std::string, std::string>& variables,
            const std::filesystem::path& log)
        : log_(log) {
        std::string line = "exec env OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive";
        for (const auto& [name, value] : variables) line += " " + name + "=" + value;
        line += " " + command + " > " + log.string() + " 2>&1";
        // Not fork: handlers that libraries have for it may wait for ever for a lock in the child.
        std::string shell = "sh", option = "-c";
        char* arguments[] = {shell.data(), option.data(), line.data(), nullptr};
        REQUIRE(::posix_spawn(&pid_, "/bin/sh", nullptr, nullptr, arguments, environ) == 0);
    }
    ~Process() {
        signal(SIGKILL);
        (void)end(10);
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    void signal(int number) const {
        if (pid_ > 0) ::kill(pid_, number);
    }
    /// Its exit status; 128 and the signal that ended it; -1 when it has not ended in that time.
    int end(double seconds) {
        const auto last = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
        while (pid_ > 0) {
            int status = 0;
            if (::waitpid(pid_, &status, WNOHANG) == pid_) {
                pid_ = 0;
                status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            } else if (std::chrono::steady_clock::now() > last) {
                return -1;
            } else {
                std::this_thread::sleep_for(std::chrono::milliseconds(10));
            }
        }
        return status_;
    }
    std::string text() const {
        std::ifstream in(log_, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    /// Whether its output has these words within that time.
    bool says(const std::string& words, double seconds) const {
        const auto last = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
        while (text().find(words) == std::string::npos) {
            if (std::chrono::steady_clock::now() > last) return false;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return true;
    }

  private:
    std::filesystem::path log_;
    pid_t pid_ = 0;
    int status_ = -1;
};

/// The variables of torchrun.
inline std::map<std::string, std::string> rank_variables(int64_t rank, int64_t size, uint16_t port,
                                                         const std::string& host = "127.0.0.1") {
    return {{"RANK", std::to_string(rank)},
            {"WORLD_SIZE", std::to_string(size)},
            {"LOCAL_RANK", std::to_string(rank)},
            {"MASTER_ADDR", host},
            {"MASTER_PORT", std::to_string(port)}};
}

}  // namespace fmgs::test
