#include <fmgs/run/process.h>

#include <stdlib.h>

#include <csignal>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace fmgs {

namespace {

volatile std::sig_atomic_t interrupt_flag = 0;

void on_interrupt(int signal) {
    interrupt_flag = 1;
    std::signal(signal, SIG_DFL);
}

}  // namespace

void catch_interrupt() {
    std::signal(SIGINT, on_interrupt);
    std::signal(SIGTERM, on_interrupt);
}

bool interrupted() { return interrupt_flag != 0; }

void keep_freed_memory() {
#if defined(__GLIBC__)
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);  // never
#endif
}

}  // namespace fmgs
