#pragma once
/// Ranks for tests: as threads of one process, and as processes with a command line each.
#include <arpa/inet.h>
#include <fmgs/train/ranks.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <thread>

#include "support/test.h"

namespace fmgs::test {

/// A port of this machine where nobody listens, for a group that meets there later. No other test
/// is given it, here or in another process: an abstract socket of its name holds it until this
/// process ends. It lies below the ports that connections are given.
inline uint16_t free_port() {
    static std::mt19937 random(std::random_device{}());
    const auto bound = [](int socket, const auto& address, size_t size) {
        REQUIRE(socket >= 0);
        return ::bind(socket, reinterpret_cast<const sockaddr*>(&address),
                      static_cast<socklen_t>(size)) == 0;
    };
    for (;;) {
        const auto port = std::uniform_int_distribution<uint16_t>(10000, 15999)(random);
        const auto name = "fmgs-test-port-" + std::to_string(port);
        sockaddr_un claim{};
        claim.sun_family = AF_UNIX;
        name.copy(claim.sun_path + 1, name.size());
        const int claimed = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (!bound(claimed, claim, offsetof(sockaddr_un, sun_path) + 1 + name.size())) {
            ::close(claimed);
            continue;
        }
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        const int listens = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const bool free = bound(listens, address, sizeof address);
        ::close(listens);
        if (free) return port;
    }
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
