#pragma once
/// Poses as AMASS stores them, which add-ons for Blender and most programs that know SMPL open.
#include <fmgs/core/types.h>

#include <filesystem>
#include <vector>

namespace fmgs {

/// Replaces an .npz: poses [F,156] float64, axis-angle of the root, the 21 joints of the body and
/// 30 of the hands (0 where the body has none), trans [F,3] (SMPL's transl, metres, z up), betas
/// [16] (0 behind those that there are), gender "neutral" and mocap_framerate. The hand joints of
/// SMPL's 24 are left out. Error unless the body has 24, 52 or 55 joints, and for poses that are
/// bones.
void write_amass(const std::filesystem::path& file, const std::vector<BodyPose>& poses,
                 const torch::Tensor& betas, double fps);

}  // namespace fmgs
