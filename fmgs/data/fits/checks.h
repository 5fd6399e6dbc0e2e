#pragma once
/// What holds for the poses of every layout.
#include <fmgs/data/fits/fit.h>

namespace fmgs::detail {

/// The person asked for: by the file's number where it has numbers, else counted from 0; -1: the
/// one in most frames. Error, which lists them, where there is no such person.
const Track& choose_person(const Fit& fit, int64_t person, const std::string& what);
/// Error unless rows match, frames ascend, and lengths and betas can be what they are called.
void check_track(const Track& track, const Fit& fit, const std::string& what);

/// What is wrong with axis-angles [F,3J] that are called radians; empty: nothing.
std::string doubtful_angles(const torch::Tensor& rotations);

}  // namespace fmgs::detail
