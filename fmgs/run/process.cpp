#include <fmgs/run/process.h>

#include <c10/util/Logging.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

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
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        const auto before = std::signal(signal, on_interrupt);
        if (signal == SIGHUP && before == SIG_IGN) std::signal(signal, SIG_IGN);  // nohup
    }
}

bool interrupted() { return interrupt_flag != 0; }

void open_standard_streams() {
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::fcntl(stream, F_GETFD) == -1)
            (void)::open("/dev/null", O_RDWR);  // the lowest free one
}

void keep_freed_memory() {
#if defined(__GLIBC__)
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);  // never
#endif
}

void print_no_stacks() {
    // Of the two kinds of fetcher, the one of texts: c10::Error::what() reads a lazy stack unasked.
    c10::SetStackTraceFetcher(std::function<std::string()>([] { return std::string(); }));
}

}  // namespace fmgs
