#pragma once
/// A machine that has little memory left.
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

namespace fmgs::test {

/// f(), while this process may take `bytes` more than it has.
template <class F>
bool with_little_memory(rlim_t bytes, F&& f) {
    rlimit before{};
    getrlimit(RLIMIT_AS, &before);
    rlim_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlimit small{pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + bytes, before.rlim_max};
    setrlimit(RLIMIT_AS, &small);
    const bool result = f();
    setrlimit(RLIMIT_AS, &before);
    return result;
}

}  // namespace fmgs::test
