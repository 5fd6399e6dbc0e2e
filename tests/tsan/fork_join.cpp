/// What OpenMP orders, told to ThreadSanitizer. GCC's runtime is not instrumented, so the sanitizer
/// would see races between a parallel region and whatever comes before or after it. Programs of a
/// build with FMGS_SANITIZE=thread define GOMP_parallel themselves, and with it every region of
/// this project and of LibTorch passes through here: what happened before a region happens before
/// each of its threads, and each of its threads before what follows the region. Nothing is said
/// about two threads of one region: their races are found. A construct other than `parallel` (a
/// barrier, a lock of OpenMP) would be reported although it is right; at::parallel_for uses none.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

namespace {

using Body = void (*)(void*);
using Parallel = void (*)(Body, void*, unsigned, unsigned);

/// Two marks, so that a thread that starts late is not ordered after one that has finished.
struct Region {
    Body body;
    void* data;
    char fork = 0;
    char join = 0;
};

void run(void* pointer) {
    auto& region = *static_cast<Region*>(pointer);
    __tsan_acquire(&region.fork);
    region.body(region.data);
    __tsan_release(&region.join);
}

}  // namespace

extern "C" void GOMP_parallel(Body body, void* data, unsigned threads, unsigned flags) {
    static const auto parallel = reinterpret_cast<Parallel>(dlsym(RTLD_NEXT, "GOMP_parallel"));
    Region region{body, data};
    __tsan_release(&region.fork);
    parallel(run, &region, threads, flags);
    __tsan_acquire(&region.join);
}
