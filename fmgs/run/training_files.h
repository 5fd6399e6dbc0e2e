#pragma once
/// What training writes beside its checkpoints, for people: rank 0 alone does.
#include <fmgs/run/training.h>

namespace fmgs {

/// The columns of metrics.csv after the step: loss, PSNR and every term, unweighted.
std::vector<std::string> metric_columns(const Objective& objective);
/// A row of metrics.csv, and the progress line.
void write_row(Training& training, const LossReport& report);
/// Three training frames beside what the avatar makes of them: RUN/sheets/STEP.png.
void write_sheet(const Training& training);
/// A row of gradients.csv, of the first training frame.
void write_gradients(Training& training);
/// Adds to history.txt, which a run that begins has no earlier one of.
void write_history(const RunFolder& folder, const Run& run, const Ranks& ranks, int64_t step,
                   const std::string& note);

}  // namespace fmgs
