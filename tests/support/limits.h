#pragma once
/// A machine that has little: a disk that is full too early, a memory that is small.
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

namespace fmgs::test {

/// f(), while this process may have `most` of a resource (setrlimit).
template <class Resource, class F>
bool with_limit(Resource resource, rlim_t most, F&& f) {
    rlimit before{};
    getrlimit(resource, &before);
    const rlimit small{most, before.rlim_max};
    setrlimit(resource, &small);
    const bool result = f();
    setrlimit(resource, &before);
    return result;
}

/// f(), while no file of this process grows beyond `size` bytes: a write that would is cut short.
template <class F>
bool on_small_disk(rlim_t size, F&& f) {
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const bool result = with_limit(RLIMIT_FSIZE, size, f);
    std::signal(SIGXFSZ, handler);
    return result;
}

/// f(), while this process may take `bytes` more memory than it has.
template <class F>
bool with_little_memory(rlim_t bytes, F&& f) {
    rlim_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const auto has = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
    return with_limit(RLIMIT_AS, has + bytes, f);
}

}  // namespace fmgs::test
