/// The tile functions for the avx2 instruction set; compiled with its flags (see CMakeLists.txt).
#if defined(__AVX2__)
#define FMGS_SET avx2
#define FMGS_LANES 8
#include <fmgs/raster/cpu/composite_tile-inl.h>
#endif
