#include <fmgs/core/memory.h>
#include <stdlib.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace fmgs {

void keep_freed_memory() {
#if defined(__GLIBC__)
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);  // never
#endif
}

}  // namespace fmgs
