#pragma once
/// Which joints of a body are left and which are right.
#include <fmgs/core/body.h>

namespace fmgs {

/// -1 for each joint of the person's left limbs, 1 for the right ones, 0 for others; empty for a
/// body whose joints are not in SMPL's numbering (hips and shoulders, left at +x at rest).
std::vector<int64_t> joint_sides(const Body& body);

}  // namespace fmgs
