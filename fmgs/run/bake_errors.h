#pragma once
/// What a baked avatar loses against the full one, on the held-out pictures of its run.
#include <fmgs/baked_avatar.h>
#include <fmgs/eval/tables.h>
#include <fmgs/run/run.h>

#include <functional>

namespace fmgs {

/// 0, 1, 2, 4, 8, … and `components` itself.
std::vector<int64_t> component_steps(int64_t components);

/// For each of these splits a row for the full avatar and one for each K of component_steps, with
/// the means of
///   psnr, psnr_person, ssim  against the truth, as evaluate_frame measures them
///   lost                     psnr of the full avatar less that of the baked one, dB
///   to_avatar                PSNR against the picture of the full avatar
/// `progress` is called after each picture.
TableRows bake_errors(Run& run, const BakedAvatar& baked, const std::vector<std::string>& splits,
                      const std::function<void()>& progress = {});

}  // namespace fmgs
