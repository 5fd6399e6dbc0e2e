// Trains an avatar on a capture:  train CONFIG.yaml… [key=value…]   or, to go on:  train RUN
#include <fmgs/core/config/config.h>
#include <fmgs/run/process.h>
#include <fmgs/run/program.h>
#include <fmgs/run/training.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>

namespace {

using namespace fmgs;

int run_program(const std::vector<std::string>& arguments, bool overwrite) {
    const auto options = read_options(arguments);
    const auto folder = training_folder(arguments, options, overwrite);
    const auto ranks = Ranks::join(rank_environment(), options.train.timeout);
    const auto tell = [&](const std::string& text) {
        if (ranks->first()) say(text);
    };
    auto run = ranks->guarded([&] { return open_run(options); });
    auto objective =
        ranks->guarded([&] { return paper_objective(run.avatar->parts(), run.options.objective); });
    if (ranks->first()) print_run(run);
    auto training = start(std::move(run), objective, folder, std::cerr, ranks);
    const auto steps = training.run.options.train.steps;
    tell(training.note);
    if (training.state.step > 0)
        tell(fmt::format("resuming at step {} of {}\n", training.state.step, steps));

    catch_interrupt();
    while (!finished(training) && !asked_to_stop(training, interrupted())) {
        const auto report = training_step(training);
        record(training, report);
    }
    finish(training);

    if (training.run.options.pose.learn) tell(pose_change_text(training.run));
    tell(fmt::format("{} at step {}: {}\n", finished(training) ? "done" : "interrupted",
                     training.state.step, folder.root.string()));
    return finished(training) ? 0 : 130;
}

/// Flags that print every option and end the program.
void add_option_lists(CLI::App& app) {
    const auto add = [&](const char* flag, const char* help, std::string (*text)()) {
        const auto print = [text] {
            fmt::print("{}", text());
            throw CLI::Success();
        };
        app.add_flag_callback(flag, print, help);
    };
    add("--defaults", "print every key with its default, as YAML",
        [] { return dump_yaml(RunOptions{}, true); });
    add("--options", "print the table of options, as Markdown",
        [] { return options_markdown(RunOptions{}); });
}

}  // namespace

int main(int argc, char** argv) {
    keep_freed_memory();
    print_no_stacks();
    CLI::App app(
        "Trains an avatar on a capture. Keys: docs/options.md. Ctrl-C saves; `train RUN` goes on.");
    std::vector<std::string> arguments;
    bool overwrite = false;
    add_option_lists(app);
    app.add_option("arguments", arguments, "CONFIG.yaml… and key=value…, or the folder of a run")
        ->required();
    app.add_flag("--overwrite", overwrite, "replace an earlier run in the output folder");
    CLI11_PARSE(app, argc, argv);
    return guarded([&] { return run_program(arguments, overwrite); });
}
