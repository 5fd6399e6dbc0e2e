/// Packs of surfels for any machine.
#define FMGS_SET portable
#define FMGS_LANES 4
#include <fmgs/raster/cpu/surfel_packs-inl.h>
