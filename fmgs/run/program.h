#pragma once
/// What the programs of a run share around their main part.
#include <fmgs/run/run.h>

#include <functional>

namespace fmgs {

/// Where the arguments of `train` say that the run lives: the folder that they name first, to
/// resume; else options.output, to be made (RunFolder::create). Error when there is none, and for
/// `overwrite` or another output= beside a folder to resume.
RunFolder training_folder(const std::vector<std::string>& arguments, const RunOptions& options,
                          bool overwrite = false);

/// Prints on stdout what a user may like to know; that nobody can read it (a full disk, a closed
/// terminal) is no reason to stop.
void say(const std::string& text);

/// Says on stdout what was read and what will be trained.
void print_run(const Run& run);

/// Runs a program's body; prints an exception as one message on stderr and returns 1 then.
int guarded(const std::function<int()>& body);

}  // namespace fmgs
