#pragma once
/// Which joint of a BVH skeleton is which of SMPL's. No torch in here.
#include <fmgs/core/joints.h>
#include <fmgs/data/fits/bvh.h>

namespace fmgs::detail {

/// Per joint of SMPL the index of the BVH's joint, -1 where there is none (it then moves with its
/// parent). Told by names (Mixamo, CMU, Biovision, 3ds Max, DAZ, SMPL's own, Blender's), the pelvis
/// and the spine by where legs and arms meet. Error, which lists the joints, when a leg or an arm
/// is not found.
std::array<int64_t, smpl::kJoints> smpl_joints_of(const Bvh& bvh, const std::string& what);

}  // namespace fmgs::detail
