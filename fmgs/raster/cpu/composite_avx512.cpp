/// The tile functions for the avx512 instruction set; compiled with its flags (see CMakeLists.txt).
#if defined(__AVX512F__)
#define FMGS_SET avx512
#define FMGS_LANES 16
#include <fmgs/raster/cpu/composite_tile-inl.h>
#endif
