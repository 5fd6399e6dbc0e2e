#pragma once
/// Training, one step at a time: what a program's own loop is made of.
///
///   auto run = open_run(read_options(arguments));
///   auto objective = paper_objective(run.avatar->parts(), run.options.objective);
///   objective->add("mine", std::make_shared<MyLoss>(), 0.1, Reach::of({"color"}));
///   auto training = start(std::move(run), objective, folder);
///   while (!finished(training) && !interrupted()) record(training, training_step(training));
///   finish(training);
#include <fmgs/losses/objective.h>
#include <fmgs/run/frames.h>
#include <fmgs/run/learned_poses.h>
#include <fmgs/run/progress.h>
#include <fmgs/train/batch.h>
#include <fmgs/train/checkpoint.h>
#include <fmgs/train/optim.h>

#include <iostream>

namespace fmgs {

/// What a step needs to be done, undone, repeated and reported.
struct Training {
    Run run;
    RunFolder folder;
    Objective objective;
    TensorDict model;  ///< what a checkpoint keeps: the avatar, the poses, what losses own
    std::vector<Parameter> parameters;  ///< those that are learned
    Optimizer optimizer;
    Objective pose_objective;  ///< of learned poses
    PoseGuard guard;
    FrameList frames;
    std::shared_ptr<Ranks> ranks;
    Share share;       ///< of the frames of a step, this rank's
    std::string note;  ///< what is worth knowing at the start, a line each; may be empty
    TrainState state;
    double waiting = 0;                   ///< seconds that steps spent on getting their frames
    std::optional<MetricsLog> log;        ///< metrics.csv, of rank 0
    std::optional<MetricsLog> gradients;  ///< gradients.csv, from its first row on
    Progress progress;
};

/// First evaluates every loss on every frame; then goes on from the folder's last checkpoint, or,
/// where there is none, writes config.yaml, learns the template where the options want that,
/// pre-fits the skinning and saves step 0. Either way
/// history.txt is told what runs here, what was read, and the note. All parameters
/// of the avatar and the losses are optimised, those of the poses where they are learned.
/// `progress` gets both stages and the progress line. Resuming, options that differ from
/// config.yaml are stored there and named in the note. Error: what is wrong with the capture for
/// these losses, all at once, before anything is written; resuming, a change of what the avatar is
/// made of; ranks that do not mean the same run (run/agree.h).
///
/// Of several ranks, the first does all of this and writes all files, now and later; the others get
/// what it has. What one throws, all throw (train/ranks.h), here and below.
Training start(Run run, Objective objective, RunFolder folder, std::ostream& progress = std::cerr,
               std::shared_ptr<Ranks> ranks = std::make_shared<Ranks>());

bool finished(const Training& training);

/// Whether any rank was asked to stop: all are then, at the same step.
bool asked_to_stop(Training& training, bool this_rank);

/// One step of the method on the train.batch frames whose turn it is, then, where poses are
/// learned, steps of their poses. The report has the means over these frames, and what was rendered
/// of the first with the picture that was aimed at, as `target`. Nothing changes when a loss or a
/// gradient is not finite; the Error says which, at once on the CPU, else from the next record() or
/// save(). After any Error the state that was reached is in a checkpoint, unless the message says
/// that it could not be saved.
LossReport training_step(Training& training);

/// What the options want after a step: a row of metrics.csv and the progress line, a row of
/// gradients.csv (of the first training frame), a contact sheet, a checkpoint. After an Error the
/// state is in a checkpoint, as above.
void record(Training& training, const LossReport& report);

/// Writes a checkpoint of this step, RUN/avatar.safetensors and the learned poses.
void save(Training& training);

/// Saves, and writes timing.json when a step was made: steps, seconds, steps_per_second, and the
/// waiting_seconds of them that steps spent on getting their frames.
void finish(Training& training);

}  // namespace fmgs
