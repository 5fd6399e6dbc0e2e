// Trains an avatar on a capture:  train CONFIG.yaml… [key=value…]   or, to go on:  train RUN
#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/cuda/memory.h>
#include <fmgs/core/io/files.h>
#include <fmgs/eval/metrics.h>
#include <fmgs/run/progress.h>
#include <fmgs/run/run.h>
#include <fmgs/run/run_folder.h>
#include <fmgs/train/checkpoint.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

namespace {

namespace fs = std::filesystem;
using namespace fmgs;

/// What one step needs to be undone, repeated and reported.
struct Trainer {
    Run run;
    RunFolder folder;
    Objective objective;
    TensorDict model;
    Optimizer optimizer;
    std::string frames_note;
    std::vector<Frame> frames;
    TrainState state;

    Trainer(Run opened, RunFolder into)
        : run(std::move(opened)),
          folder(std::move(into)),
          objective(paper_objective(run.avatar->parts(), run.options.objective)),
          model(named_tensors(*run.root)),
          optimizer(parameters(), run.options.optim),
          frames(training_frames(run, frames_note)) {}

    /// The poses take part only when they are learned.
    std::vector<Parameter> parameters() {
        run.poses->parameters()[0].set_requires_grad(run.options.pose.learn);
        run.poses->parameters()[1].set_requires_grad(run.options.pose.learn);
        return grouped_parameters(*run.root);
    }

    void save() {
        settle();
        save_checkpoint(folder.checkpoints(), state, model, optimizer.state());
    }

    /// Steps on a GPU wait for nothing, so that one that is not finite shows late. It and all after
    /// it changed nothing: back to it, and again with checks, for the Error.
    void settle() {
        const int64_t skipped = optimizer.skipped();
        if (skipped == 0) return;
        state.step -= skipped;
        step(/*checked=*/true);
        throw Error(fmt::format("step {}: a loss or gradient was not finite, but is when repeated",
                                state.step));
    }

    /// One step of the method. Nothing changes when a loss or gradient is not finite; an Error says
    /// which, at once when checked, else from settle().
    LossReport step(bool checked) {
        const auto& options = run.options;
        const auto seed = static_cast<uint64_t>(options.train.seed);
        const double progress =
            static_cast<double>(state.step) / static_cast<double>(options.train.steps);
        const Random random{seed, state.step};
        const Frame frame = frame_of(frames, state.step, seed).to(run.device);
        const auto pose = progress >= options.pose.start ? run.pose(frame) : frame.pose;

        const auto surfels = run.avatar->forward(frame.camera, pose, &random, progress);  // (2)–(9)
        auto report = objective->forward(surfels, frame, random, progress);  // (10)–(21)
        for (const auto& term : report.terms) {
            if (checked && !term.value.isfinite().item<bool>())
                throw bad(fmt::format("loss '{}'", term.name), frame);
        }
        optimizer.zero_grad();
        report.total.backward();
        if (!checked)
            optimizer.step_unchecked(progress, report.total);
        else if (const auto name = optimizer.step(progress))
            throw bad(fmt::format("gradient of '{}'", *name), frame);
        ++state.step;
        report.total = report.total.detach();
        report.rendered.set("target", frame.maps.at("color"));
        return report;
    }

    Error bad(const std::string& what, const Frame& frame) {
        save_checkpoint(folder.checkpoints(), state, model, optimizer.state());
        return Error(fmt::format(
            "step {}, frame '{}': the {} is not finite; the state before this step is saved in {}",
            state.step, frame.name, what, folder.checkpoints().string()));
    }
};

void loop(Trainer& trainer) {
    const auto& options = trainer.run.options.train;
    auto& state = trainer.state;
    MetricsLog log(trainer.folder.metrics(), metric_columns(trainer.objective), state.step);
    Progress progress(std::cerr, isatty(STDERR_FILENO) != 0, options.steps, state.step);
    const int64_t first = state.step;
    while (state.step < options.steps && !interrupted()) {
        const auto report = trainer.step(/*checked=*/trainer.run.device.is_cpu());
        const bool last = state.step == options.steps;
        if (state.step % options.log_every == 0 || last) {
            trainer.settle();
            const auto* color = report.rendered.find("color");
            const double quality = color ? psnr(*color, report.rendered.at("target")) : NAN;
            progress.show(state.step, report.total.item<double>(), quality);
            log.add(state.step, metric_row(trainer.objective, report, quality));
        }
        if (state.step % options.sheet_every == 0 || last)
            write_sheet(trainer.run, trainer.folder, state.step);
        if (state.step % options.checkpoint_every == 0 && !last) trainer.save();
    }
    trainer.save();
    write_whole(
        trainer.folder.timing(),
        fmt::format("{{\"steps\": {}, \"seconds\": {:.1f}, \"steps_per_second\": {:.3f}}}\n",
                    state.step - first, progress.seconds(), progress.steps_per_second(state.step)));
}

int run_program(const std::vector<std::string>& arguments, bool overwrite) {
    auto options = read_options(arguments);
    const bool resumes = fs::is_directory(arguments.front());
    if (options.output.empty())
        throw Error("output: the folder of the run is not set; add output=FOLDER");
    Trainer trainer(open_run(options), RunFolder{resumes ? arguments.front() : options.output});
    const auto& folder = trainer.folder;
    if (!resumes)
        RunFolder::create(folder.root, overwrite);  // nothing is touched before all input was read
    print_run(trainer.run);
    if (!trainer.frames_note.empty()) fmt::print("{}\n", trainer.frames_note);
    if (const auto last = resumes ? latest_checkpoint(folder.checkpoints()) : std::nullopt) {
        auto moments = trainer.optimizer.state();
        trainer.state = load_checkpoint(last->folder, trainer.model, &moments);
        fmt::print("resuming at step {} of {}\n", trainer.state.step,
                   trainer.run.options.train.steps);
    } else {
        write_whole(folder.config(), dump_yaml(trainer.run.options));
        prefit(trainer.run);
        trainer.save();
    }
    catch_interrupt();
    loop(trainer);
    fmt::print("{} at step {}: {}\n", interrupted() ? "interrupted" : "done", trainer.state.step,
               folder.root.string());
    return interrupted() ? 130 : 0;
}

}  // namespace

int main(int argc, char** argv) {
    fmgs::keep_freed_memory();
    CLI::App app(
        "Trains an avatar on a capture. Keys: docs/options.md. Ctrl-C saves; `train RUN` goes on.");
    std::vector<std::string> arguments;
    bool overwrite = false;
    add_option_lists(app);
    app.add_option("arguments", arguments, "CONFIG.yaml… and key=value…, or the folder of a run")
        ->required();
    app.add_flag("--overwrite", overwrite, "replace an earlier run in the output folder");
    CLI11_PARSE(app, argc, argv);
    return fmgs::guarded([&] { return run_program(arguments, overwrite); });
}
