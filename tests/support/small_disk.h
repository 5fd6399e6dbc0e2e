#pragma once
/// A disk that is full too early.
#include <sys/resource.h>

#include <csignal>

namespace fmgs::test {

/// f(), while no file of this process grows beyond `size` bytes: a write that would is cut short.
template <class F>
bool on_small_disk(rlim_t size, F&& f) {
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{size, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    const bool result = f();
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    return result;
}

}  // namespace fmgs::test
