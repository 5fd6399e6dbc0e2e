/// Which build of the tile functions this machine runs.
#include <fmgs/raster/cpu/composite.h>

namespace fmgs::raster {

InstructionSet best_instruction_set() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        return InstructionSet::avx512;
    if (avx2) return InstructionSet::avx2;
#endif
    return InstructionSet::portable;
}

TileBackend tile_backend(InstructionSet set) {
#if defined(__x86_64__)
    if (set == InstructionSet::avx512)
        return {{avx512::functions_float(), avx512::rows_float()},
                {avx512::functions_double(), avx512::rows_double()}};
    if (set == InstructionSet::avx2)
        return {{avx2::functions_float(), avx2::rows_float()},
                {avx2::functions_double(), avx2::rows_double()}};
#endif
    static_cast<void>(set);
    return {{portable::functions_float(), portable::rows_float()},
            {portable::functions_double(), portable::rows_double()}};
}

int64_t workspace_size(int64_t size, int64_t channels, int64_t routes) {
    constexpr int64_t kMaxLanes = 16, kParts = 19, kPadding = 2 * kCacheLine / sizeof(float);
    const int64_t row = channels + (routes + 1) * kMaxLanes,
                  pixels = (size + 1) * (size + 7);  // whole blocks
    return (4 + 2 * routes + row) * pixels + 3 * row + 2 * (routes + 2) +
           (6 + 3 * routes) * (pixels + kMaxLanes) + kParts * kPadding;
}

int64_t slot_workspace_size(int64_t channels, int64_t routes) {
    constexpr int64_t kMaxLanes = 16;
    return kMaxLanes * (routes * kSums + channels + kMaxLanes);
}

}  // namespace fmgs::raster
