/// BVH files, and which of their joints are which of SMPL's.
#include <fmgs/data/fits/bvh_names.h>

#include "target.h"

using namespace fmgs;

void read_input(const uint8_t* data, size_t size) {
    const auto bvh = fmgs::detail::parse_bvh({reinterpret_cast<const char*>(data), size}, "input");
    fmgs::detail::smpl_joints_of(bvh, "input");
}
