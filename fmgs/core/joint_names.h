#pragma once
/// Names of joints, for files that other programs open.
#include <cstdint>
#include <string>
#include <vector>

namespace fmgs {

/// Of a body with so many joints: SMPL's ("pelvis", "left_hip", …) for 24, and for 52 and 55
/// (SMPL-H and SMPL-X) those that these share; "joint_N" for all others.
std::vector<std::string> joint_names(int64_t count);

}  // namespace fmgs
