#pragma once
/// Ranks that begin a run: that they mean the same, and that they have the same.
#include <fmgs/run/run.h>
#include <fmgs/train/checkpoint.h>
#include <fmgs/train/ranks.h>

#include <map>

namespace fmgs {

/// What has to be the same on all ranks, in words: every option but for places and the device
/// ("option train.seed"), the versions of libfmgs and LibTorch, the capture (names and sizes of its
/// frames, poses and cameras to four digits, the maps of eight frames), the body's file, names and
/// shapes of what is learned. Values that are computed are no part of it: processors differ in
/// their last bits.
std::map<std::string, std::string> facts_of(const Run& run, const TensorDict& model);

/// "rank 1: option train.seed is 3, rank 0 has 0", a line for each fact that differs on a rank.
std::string disagreements(const std::vector<std::map<std::string, std::string>>& facts_of_ranks);

/// Error, on all ranks alike, with all disagreements.
void check_agreement(Ranks& ranks, const std::map<std::string, std::string>& facts);

/// All ranks get what rank 0 has: the step, the model and the moments.
void share_state(Ranks& ranks, TrainState& state, const TensorDict& model,
                 const TensorDict& moments);

}  // namespace fmgs
