#pragma once
/// What the programs of a run share around their main part.
#include <fmgs/run/run.h>

#include <functional>

namespace fmgs {

/// Where the arguments of `train` say that the run lives: the folder that they name first, to
/// resume; else options.output, made new (RunFolder::create). Error when there is none.
RunFolder training_folder(const std::vector<std::string>& arguments, const RunOptions& options,
                          bool overwrite = false);

/// Says on stdout what was read and what will be trained.
void print_run(const Run& run);

/// Runs a program's body; prints an exception as one message on stderr and returns 1 then.
int guarded(const std::function<int()>& body);

}  // namespace fmgs
