/// The tile functions for any machine.
#define FMGS_SET portable
#define FMGS_LANES 4
#include <fmgs/raster/cpu/composite_tile-inl.h>
