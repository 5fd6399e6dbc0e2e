#pragma once
/// What a run goes through before its first step.
#include <fmgs/losses/objective.h>
#include <fmgs/run/run.h>
#include <fmgs/train/checkpoint.h>

namespace fmgs {

/// Evaluates every term of the objective on the maps of every frame, also those that are off now,
/// on one picture per size of frame; what the losses own is as before. Error with all that is
/// wrong.
void try_losses(const Run& run, Objective& objective, const std::vector<Frame>& frames);

/// Reads a checkpoint of the folder. Options that differ from its config.yaml are stored there, and
/// `note` says them, a line each. Error: an option, or a body, that makes another avatar.
TrainState resume(const Run& run, const RunFolder& folder, const Checkpoint& checkpoint,
                  const TensorDict& model, const TensorDict& moments, std::string& note);

}  // namespace fmgs
