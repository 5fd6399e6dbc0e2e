/// The tile functions for the avx512 instruction set; compiled with its flags (see CMakeLists.txt).
/// Eight lanes as with avx2: surfels are seldom wider. What helps are masks and twice the registers.
#if defined(__AVX512F__)
#define FMGS_SET avx512
#define FMGS_LANES 8
#include <fmgs/raster/composite_tile.h>
#endif
