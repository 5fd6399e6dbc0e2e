#include <fmgs/run/program.h>

#include <fmgs/core/check.h>
#include <fmgs/run/process.h>
#include <fmt/format.h>

#include <cstdio>

namespace fmgs {

namespace {

bool same_folder(const std::filesystem::path& a, const std::filesystem::path& b) {
    std::error_code error;
    return std::filesystem::equivalent(a, b, error);
}

}  // namespace

RunFolder training_folder(const std::vector<std::string>& arguments, const RunOptions& options,
                          bool overwrite) {
    if (!arguments.empty() && std::filesystem::is_directory(arguments.front())) {
        auto folder = RunFolder::open(arguments.front());
        const auto name = folder.root.string();
        if (overwrite)
            throw Error(
                fmt::format("--overwrite: `train {0}` goes on with that run; to begin anew, "
                            "`train {0}/config.yaml output={0} --overwrite`",
                            name));
        for (const auto& argument : arguments) {
            if (argument.starts_with("output=") && !same_folder(options.output, folder.root))
                throw Error(
                    fmt::format("output: `train {0}` goes on in {0}, got {1}; copy that "
                                "folder and go on in the copy",
                                name, options.output));
        }
        return folder;
    }
    if (options.output.empty())
        throw Error("output: the folder of the run is not set; add output=FOLDER");
    return RunFolder::create(options.output, overwrite);
}

void say(const std::string& text) {
    (void)std::fwrite(text.data(), 1, text.size(), stdout);
    (void)std::fflush(stdout);
}

void print_run(const Run& run) {
    auto text = run.capture.description + "\n";
    for (const auto& note : run.capture.notes) text += fmt::format("note: {}\n", note);
    say(text + fmt::format("{} surfels ({} subdivisions), {} steps\n",
                           run.avatar->parts().surfels->size(), run.options.avatar.subdivisions,
                           run.options.train.steps));
}

int guarded(const std::function<int()>& body) {
    open_standard_streams();
    try {
        return body();
    } catch (...) {
        // Not fmt::print: it throws where stderr cannot be written.
        std::fprintf(stderr, "\nerror: %s\n", message_of(std::current_exception()).c_str());
        return 1;
    }
}

}  // namespace fmgs
