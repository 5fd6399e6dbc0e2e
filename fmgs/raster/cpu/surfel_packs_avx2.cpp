/// Packs of surfels for the avx2 instruction set; compiled with its flags (see CMakeLists.txt).
#if defined(__AVX2__)
#define FMGS_SET avx2
#define FMGS_LANES 8
#include <fmgs/raster/cpu/surfel_packs-inl.h>
#endif
