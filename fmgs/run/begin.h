#pragma once
/// What a run goes through before its first step.
#include <fmgs/losses/objective.h>
#include <fmgs/run/run.h>
#include <fmgs/train/checkpoint.h>

namespace fmgs {

/// Evaluates every term of the objective on the maps of every frame, also those that are off now,
/// on one picture per size of frame; what the losses own is as before. Error with all that is
/// wrong.
void try_losses(const Run& run, Objective& objective, const FrameList& frames);

/// The run's body, on the CPU.
BodyModel body_on_cpu(const Run& run);

/// Holds the training frames against the body: what was found, a line each. Error with all that
/// makes training useless, unless data.check is off.
std::string check_body_and_frames(const Run& run);

/// What differs from the folder's config.yaml, a line each. Error: an option that makes another
/// avatar.
std::string changed_options(const Run& run, const RunFolder& folder);

/// Reads a checkpoint. Error, too, when the run's body is not the one that it was begun with.
TrainState resume(const Run& run, const Checkpoint& checkpoint, const TensorDict& model,
                  const TensorDict& moments);

}  // namespace fmgs
