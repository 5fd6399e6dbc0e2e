#include <fmgs/run/training.h>

#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/image_io.h>
#include <fmgs/eval/metrics.h>
#include <fmgs/eval/sheet.h>
#include <fmgs/run/begin.h>
#include <fmgs/run/draw.h>
#include <fmgs/run/fit_template.h>
#include <fmgs/run/influence.h>
#include <fmgs/version.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>
#include <torch/version.h>
#include <unistd.h>

#include <cmath>

namespace fmgs {

namespace {

/// The columns of metrics.csv after the step: loss, PSNR and every term, unweighted.
std::vector<std::string> metric_columns(const Objective& objective) {
    std::vector<std::string> names = {"loss", "psnr"};
    for (const auto& entry : objective->entries()) names.push_back(entry.name);
    return names;
}

/// NaN where a term was off.
std::vector<double> metric_row(const Objective& objective, const LossReport& report, double psnr) {
    std::vector<double> values = {report.total.item<double>(), psnr};
    for (const auto& entry : objective->entries()) {
        double value = NAN;
        for (const auto& term : report.terms) {
            if (term.name == entry.name) value = term.value.item<double>();
        }
        values.push_back(value);
    }
    return values;
}

/// Three training frames beside what the avatar makes of them: RUN/sheets/STEP.png.
void write_sheet(const Training& training) {
    const auto& run = training.run;
    const auto& frames = run.capture.splits.at("train");
    std::vector<torch::Tensor> rows;
    for (const size_t k : {size_t{0}, frames.size() / 3, 2 * frames.size() / 3}) {
        const auto frame = frames[k];
        const auto taken = take(run, frame);
        rows.push_back(sheet_row(frame, draw(run.avatar, taken.camera, taken.pose)));
    }
    const auto folder = training.folder.sheets();
    std::filesystem::create_directories(folder);
    write_color(folder / fmt::format("{:06d}.png", training.state.step), below(rows));
}

void write_gradients(Training& training) {
    const auto& run = training.run;
    const auto frame = take(run, run.capture.splits.at("train").front());
    const auto means = mean_gradients(training.objective,
                                      run.avatar.ptr()->forward(frame.camera, frame.pose), frame);
    std::vector<std::string> columns;
    std::vector<double> values;
    for (const auto& [name, mean] : means) {
        columns.push_back(name);
        values.push_back(mean);
    }
    const auto step = training.state.step;
    if (!training.gradients)
        training.gradients.emplace(training.folder.gradients(), columns, step - 1);
    training.gradients->add(step, values);
}

/// Adds to history.txt, which a run that begins has no earlier one of.
void write_history(const RunFolder& folder, const Run& run, int64_t step, const std::string& note) {
    std::string text;
    if (step > 0 && is_there(folder.history())) text = read_whole(folder.history());
    text += fmt::format("== step {}: libfmgs {}, LibTorch {}, {}, threads: {}\n{}\n", step,
                        FMGS_VERSION, TORCH_VERSION, run.device.str(), at::get_num_threads(),
                        run.capture.description);
    for (const auto& line : run.capture.notes) text += fmt::format("note: {}\n", line);
    write_whole(folder.history(), text + note);
}

/// What a checkpoint keeps beside the model.
TensorDict moments_of(Optimizer& optimizer, const PoseGuard& guard) {
    auto out = optimizer.state();
    for (const auto& [name, pose] : guard.state()) out.set(name, pose);
    return out;
}

void write_checkpoint(Training& training) {
    fit_projection(training.run);
    save_checkpoint(training.folder.checkpoints(), training.state, training.model,
                    moments_of(training.optimizer, training.guard));
}

Error not_finite(const Training& training, const std::string& what, const Frame& frame) {
    return Error(fmt::format("step {}, frame '{}': the {} is not finite", training.state.step,
                             frame.name, what));
}

/// Steps of the frame's pose over the surfels as they are. The networks, which most of a step's
/// time goes into, are not asked again.
void refine_pose(Training& training, const Surfels& surfels, const Frame& frame, bool checked) {
    const auto& options = training.run.options;
    const auto seed = static_cast<uint64_t>(options.train.seed);
    const double progress =
        static_cast<double>(training.state.step) / static_cast<double>(options.train.steps);
    for (int64_t k = 0; k < options.pose.steps; ++k) {
        training.optimizer.zero_grad();
        const auto still = still_surfels(training.run, surfels, frame.index);
        const auto total =
            training.pose_objective->forward(still, frame, {seed, training.state.step}, progress)
                .total;
        if (!total.requires_grad()) return;  // their weights are 0 now
        total.backward();
        if (!checked)
            training.optimizer.step_unchecked(progress, total, /*counts=*/false);
        else if (const auto name = training.optimizer.step(progress))
            throw not_finite(training, fmt::format("gradient of '{}'", *name), frame);
    }
}

LossReport step(Training& training, bool checked) {
    const Run& run = training.run;
    auto& state = training.state;
    auto& optimizer = training.optimizer;
    const auto seed = static_cast<uint64_t>(run.options.train.seed);
    const double progress =
        static_cast<double>(state.step) / static_cast<double>(run.options.train.steps);
    const Random random{seed, state.step};
    const double start = training.progress.seconds();
    const Frame drawn = draw_frame(training.frames, state.step, seed);
    training.waiting += training.progress.seconds() - start;
    Frame frame = training.guard.hidden(take(run, drawn, progress), state.step);
    const bool poses_move = frame.pose.rotations.requires_grad();
    // The pose's own steps, below, are all that moves it.
    frame.pose = {frame.pose.rotations.detach(), frame.pose.translation.detach(), frame.pose.bones};

    const auto surfels =
        run.avatar.ptr()->forward(frame.camera, frame.pose, &random, progress);   // (2)–(9)
    auto report = training.objective->forward(surfels, frame, random, progress);  // (10)–(21)
    for (const auto& term : report.terms) {
        if (checked && !term.value.isfinite().item<bool>())
            throw not_finite(training, fmt::format("loss '{}'", term.name), frame);
    }
    optimizer.zero_grad();
    report.total.backward();
    if (!checked)
        optimizer.step_unchecked(progress, report.total);
    else if (const auto name = optimizer.step(progress))
        throw not_finite(training, fmt::format("gradient of '{}'", *name), frame);
    if (poses_move && !training.guard.rests(frame.index, state.step))
        refine_pose(training, surfels, frame, checked);
    ++state.step;
    report.total = report.total.detach();
    report.rendered.set("target", frame.maps.at("color"));
    return report;
}

/// Steps on a GPU wait for nothing, so that one that is not finite shows late. It and all after it
/// changed nothing: back to it, and again with checks, for the Error.
void settle(Training& training) {
    const int64_t skipped = training.optimizer.take_skipped();
    if (skipped == 0) return;
    training.state.step -= skipped;
    step(training, /*checked=*/true);
    throw Error(fmt::format("step {}: a loss or gradient was not finite, but is when repeated",
                            training.state.step));
}

/// Poses go back to earlier ones that were better, when it is time to see.
void check_poses(Training& training) {
    if (!training.guard.due(training.state.step)) return;
    settle(training);
    const auto& run = training.run;
    training.guard.check(
        run, training.frames, training.optimizer.state(),
        static_cast<double>(training.state.step) / static_cast<double>(run.options.train.steps));
}

/// A row of metrics.csv, and the progress line.
void write_row(Training& training, const LossReport& report) {
    settle(training);
    const auto* color = report.rendered.find("color");
    const double quality = color ? psnr(*color, report.rendered.at("target")) : NAN;
    training.progress.show(training.state.step, report.total.item<double>(), quality);
    training.log.add(training.state.step, metric_row(training.objective, report, quality));
}

std::string save_after_error(Training& training) {
    const auto folder = training.folder.checkpoints().string();
    try {
        settle(training);
        write_checkpoint(training);
        return fmt::format("the state before this step is saved in {}: step {}", folder,
                           training.state.step);
    } catch (...) {
        return message_of(std::current_exception());
    }
}

/// Does a part of the loop; what was reached before it fails is saved.
template <class Work>
auto kept(Training& training, Work work) {
    try {
        return work();
    } catch (...) {
        const auto reason = message_of(std::current_exception());
        throw Error(fmt::format("{}\n{}", reason, save_after_error(training)));
    }
}

}  // namespace

Training start(Run run, Objective objective, RunFolder folder, std::ostream& progress) {
    objective->to(run.device);
    run.root->register_module("losses", objective);
    // The poses take part only when they are learned.
    for (auto& parameter : run.poses->parameters())
        parameter.set_requires_grad(run.options.pose.learn);
    std::string note;
    auto frames = training_frames(run, note);
    if (!frames.empty() && folder.is_new) note += check_body_and_frames(run);
    if (!frames.empty()) try_losses(run, objective, frames);

    folder.begin();
    run.options.output = folder.root.string();
    const auto model = named_tensors(*run.root);
    Optimizer optimizer(grouped_parameters(*run.root), run.options.optim);
    auto poses = pose_objective(run, objective);
    PoseGuard guard(run);
    TrainState state;
    std::string changed;
    if (const auto last = latest_checkpoint(folder.checkpoints())) {
        changed = changed_options(run, folder);
        state = resume(run, *last, model, moments_of(optimizer, guard));
    } else {
        write_whole(folder.config(), config_text(run.options));
        fit_template(run, frames, folder, progress);
        prefit(run, progress);
        fit_projection(run);
        save_checkpoint(folder.checkpoints(), state, model, moments_of(optimizer, guard));
        save_results(run, folder);
    }
    MetricsLog log(folder.metrics(), metric_columns(objective), state.step);
    if (!changed.empty()) write_whole(folder.config(), config_text(run.options));
    note += changed;
    if (const auto part = part_of_ones_own(run.avatar->parts()); !part.empty())
        note += fmt::format("the part '{}' is not the paper's: no avatar.safetensors is written\n",
                            part);
    write_history(folder, run, state.step, note);
    const auto steps = run.options.train.steps;
    const bool terminal = &progress == &std::cerr && isatty(STDERR_FILENO) != 0;
    return {.run = std::move(run),
            .folder = folder,
            .objective = objective,
            .model = model,
            .optimizer = std::move(optimizer),
            .pose_objective = std::move(poses),
            .guard = std::move(guard),
            .frames = std::move(frames),
            .note = std::move(note),
            .state = state,
            .log = std::move(log),
            .gradients = {},
            .progress = Progress(progress, terminal, steps, state.step)};
}

bool finished(const Training& training) {
    return training.state.step >= training.run.options.train.steps;
}

LossReport training_step(Training& training) {
    return kept(training, [&] {
        auto report = step(training, training.run.device.is_cpu());
        check_poses(training);
        return report;
    });
}

void record(Training& training, const LossReport& report) {
    const auto& options = training.run.options.train;
    const int64_t done = training.state.step;
    const bool last = finished(training);
    kept(training, [&] {
        if (done % options.log_every == 0 || last) write_row(training, report);
        if (done % options.sheet_every == 0 || last) write_sheet(training);
        if (options.gradients_every > 0 && (done % options.gradients_every == 0 || last))
            write_gradients(training);
    });
    if (done % options.checkpoint_every == 0 && !last) save(training);
}

void save(Training& training) {
    settle(training);
    write_checkpoint(training);
    save_results(training.run, training.folder);
}

void finish(Training& training) {
    save(training);
    const auto& progress = training.progress;
    if (progress.done(training.state.step) == 0) return;
    write_whole(training.folder.timing(),
                fmt::format("{{\"steps\": {}, \"seconds\": {:.1f}, \"steps_per_second\": {:.3f}, "
                            "\"waiting_seconds\": {:.3f}}}\n",
                            progress.done(training.state.step), progress.seconds(),
                            progress.steps_per_second(training.state.step), training.waiting));
}

}  // namespace fmgs
