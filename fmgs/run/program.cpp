#include <fmgs/run/program.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#include <cstdio>

namespace fmgs {

RunFolder training_folder(const std::vector<std::string>& arguments, const RunOptions& options,
                          bool overwrite) {
    if (!arguments.empty() && std::filesystem::is_directory(arguments.front()))
        return RunFolder::open(arguments.front());
    if (options.output.empty())
        throw Error("output: the folder of the run is not set; add output=FOLDER");
    return RunFolder::create(options.output, overwrite);
}

void print_run(const Run& run) {
    fmt::print("{}\n", run.capture.description);
    for (const auto& note : run.capture.notes) fmt::print("note: {}\n", note);
    fmt::print("{} surfels ({} subdivisions), {} steps\n", run.avatar->parts().surfels->size(),
               run.options.avatar.subdivisions, run.options.train.steps);
}

int guarded(const std::function<int()>& body) {
    try {
        return body();
    } catch (const std::exception& error) {
        // Not fmt::print: it throws where stderr cannot be written.
        std::fprintf(stderr, "\nerror: %s\n", error.what());
        return 1;
    }
}

}  // namespace fmgs
