#include <fmgs/run/training.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/run/agree.h>
#include <fmgs/run/begin.h>
#include <fmgs/run/fit_template.h>
#include <fmgs/run/training_files.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>
#include <unistd.h>

namespace fmgs {

namespace {

/// What a checkpoint keeps beside the model.
TensorDict moments_of(Optimizer& optimizer, const PoseGuard& guard) {
    auto out = optimizer.state();
    for (const auto& [name, pose] : guard.state()) out.set(name, pose);
    return out;
}

void write_checkpoint(Training& training) {
    fit_projection(training.run);
    if (!training.ranks->first()) return;
    save_checkpoint(training.folder.checkpoints(), training.state, training.model,
                    moments_of(training.optimizer, training.guard));
}

double progress_of(const Training& training) {
    return static_cast<double>(training.state.step) /
           static_cast<double>(training.run.options.train.steps);
}

uint64_t seed_of(const Training& training) {
    return static_cast<uint64_t>(training.run.options.train.seed);
}

Error not_finite(const Training& training, const std::string& what, const std::string& frames) {
    return Error(
        fmt::format("step {}, {}: the {} is not finite", training.state.step, frames, what));
}

/// On all ranks, in the words of the first whose frames have such a gradient. `own`: of
/// average_gradients.
[[noreturn]] void refuse_gradient(const Training& training, const std::string& name,
                                  const std::vector<torch::Tensor>& own) {
    std::string frames;
    for (const int64_t draw : training.share.draws(training.state.step)) {
        const auto k = frames_of(training.frames.size(), draw, 1, seed_of(training)).front();
        frames += fmt::format("{}frame '{}'", frames.empty() ? "" : ", ",
                              training.frames.heads()[k].name);
    }
    const auto error = not_finite(training, fmt::format("gradient of '{}'", name), frames);
    training.ranks->guarded([&] {
        for (size_t k = 0; k < own.size(); ++k)
            if (training.parameters[k].name == name && own[k].defined() &&
                !own[k].isfinite().all().item<bool>())
                throw error;
    });
    (void)training.ranks->any(false);
    throw error;
}

/// The gradients' mean over the batch, and one update with it.
void update(Training& training, const torch::Tensor& loss, bool checked, bool counts = true) {
    const double progress = progress_of(training);
    const auto own = average_gradients(*training.ranks, training.parameters, training.share.batch);
    if (!checked)
        training.optimizer.step_unchecked(progress, loss, counts);
    else if (const auto name = training.optimizer.step(progress))
        refuse_gradient(training, *name, own);
}

/// A drawn frame whose pose has steps of its own, with the surfels that it was drawn with.
struct Posed {
    Surfels surfels;  ///< without a gradient
    Frame frame;
    int64_t draw;
};

/// Steps of the frames' poses over the surfels as they are. The networks, which most of a step's
/// time goes into, are not asked again.
void refine_poses(Training& training, const std::vector<Posed>& frames, bool checked) {
    const auto& run = training.run;
    if (!run.options.pose.learn || !training.ranks->any(!frames.empty())) return;
    for (int64_t k = 0; k < run.options.pose.steps; ++k) {
        training.optimizer.zero_grad();
        auto loss = torch::zeros({}, torch::TensorOptions().device(run.device));
        training.ranks->guarded([&] {
            for (const auto& [surfels, frame, draw] : frames) {
                const auto still = still_surfels(run, surfels, frame.index);
                const auto total =
                    training.pose_objective
                        ->forward(still, frame, {seed_of(training), draw}, progress_of(training))
                        .total;
                if (!total.requires_grad()) continue;  // their weights are 0 now
                total.backward();
                loss += total.detach();
            }
        });
        if (!checked) training.ranks->sum({loss});
        update(training, loss, checked, /*counts=*/false);
    }
}

/// What one frame adds to the gradients.
LossReport learn_from(Training& training, int64_t draw, bool checked, std::vector<Posed>& posed) {
    const Run& run = training.run;
    const int64_t step = training.state.step;
    const double progress = progress_of(training);
    const Random random{seed_of(training), draw};
    const double start = training.progress.seconds();
    const Frame drawn = draw_frame(training.frames, draw, seed_of(training), training.share);
    training.waiting += training.progress.seconds() - start;
    Frame frame = training.guard.hidden(take(run, drawn, progress), step);
    const bool pose_moves =
        frame.pose.rotations.requires_grad() && !training.guard.rests(frame.index, step);
    // The pose's own steps, later, are all that moves it.
    frame.pose = {frame.pose.rotations.detach(), frame.pose.translation.detach(), frame.pose.bones};

    const auto surfels =
        run.avatar.ptr()->forward(frame.camera, frame.pose, &random, progress);   // (2)–(9)
    auto report = training.objective->forward(surfels, frame, random, progress);  // (10)–(21)
    for (const auto& term : report.terms) {
        if (checked && !term.value.isfinite().item<bool>())
            throw not_finite(training, fmt::format("loss '{}'", term.name),
                             fmt::format("frame '{}'", frame.name));
    }
    report.total.backward();
    if (pose_moves) posed.push_back({surfels.restricted(Reach::nothing()), frame, draw});
    report.rendered.set("target", frame.maps.at("color"));
    return report;
}

LossReport step(Training& training, bool checked) {
    auto& ranks = *training.ranks;
    ranks.at_step(training.state.step);
    MeanReport reports;
    std::vector<Posed> posed;
    training.optimizer.zero_grad();
    ranks.guarded([&] {
        for (const int64_t draw : training.share.draws(training.state.step))
            reports.add(learn_from(training, draw, checked, posed));
    });
    auto report = reports.over(ranks, training.share.batch);
    update(training, report.total, checked);
    refine_poses(training, posed, checked);
    ++training.state.step;
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
    auto& ranks = *training.ranks;
    ranks.guarded([&] {
        if (ranks.first())
            training.guard.check(training.run, training.frames, training.optimizer.state(),
                                 progress_of(training));
    });
    share_state(ranks, training.state, training.model,
                moments_of(training.optimizer, training.guard));
    training.guard.state_changed();
}

std::string save_after_error(Training& training) {
    const auto folder = training.folder.checkpoints().string();
    try {
        if (training.ranks->alone()) settle(training);
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
        return training.ranks->guarded(work);
    } catch (...) {
        if (!training.ranks->first()) throw;
        const auto reason = message_of(std::current_exception());
        throw Error(fmt::format("{}\n{}", reason, save_after_error(training)));
    }
}

/// The poses are among them only when they are learned.
std::vector<Parameter> learned_parameters(const Run& run) {
    for (auto& parameter : run.poses->parameters())
        parameter.set_requires_grad(run.options.pose.learn);
    auto parameters = grouped_parameters(*run.root);
    std::erase_if(parameters, [](const Parameter& p) { return !p.tensor.requires_grad(); });
    return parameters;
}

/// Begins a run in its folder, or goes on with it: the state from which it does, in `model` and
/// `moments`. `changed`: which options differ from those of before.
TrainState begin(Run& run, RunFolder& folder, const FrameList& frames, const TensorDict& model,
                 const TensorDict& moments, std::ostream& progress, std::string& changed) {
    folder.begin();
    run.options.output = folder.root.string();
    if (const auto last = latest_checkpoint(folder.checkpoints())) {
        changed = changed_options(run, folder);
        return resume(run, *last, model, moments);
    }
    const TrainState state;
    write_whole(folder.config(), config_text(run.options));
    fit_template(run, frames, folder, progress);
    prefit(run, progress);
    fit_projection(run);
    save_checkpoint(folder.checkpoints(), state, model, moments);
    save_results(run, folder);
    return state;
}

}  // namespace

Training start(Run run, Objective objective, RunFolder folder, std::ostream& progress,
               std::shared_ptr<Ranks> ranks) {
    objective->to(run.device);
    run.root->register_module("losses", objective);
    const auto& options = run.options;
    auto parameters = learned_parameters(run);
    const auto model = named_tensors(*run.root);
    Optimizer optimizer(parameters, options.optim, options.train.batch);
    if (!ranks->alone())
        check_agreement(*ranks, ranks->guarded([&] { return facts_of(run, model); }));
    const auto share = Share::of(options.train.batch, *ranks);

    std::string note;
    FrameList frames;
    Objective poses;
    TrainState state;
    std::optional<MetricsLog> log;
    PoseGuard guard;
    ranks->guarded([&] {
        frames = training_frames(run, note);
        if (!frames.empty() && folder.is_new) note += check_body_and_frames(run);
        if (!frames.empty()) try_losses(run, objective, frames);
        poses = pose_objective(run, objective);
        guard = PoseGuard(run);
        if (!ranks->first()) return;
        std::string changed;
        state = begin(run, folder, frames, model, moments_of(optimizer, guard), progress, changed);
        log.emplace(folder.metrics(), metric_columns(objective), state.step);
        if (!changed.empty()) write_whole(folder.config(), config_text(run.options));
        note += changed;
        if (const auto part = part_of_ones_own(run.avatar->parts()); !part.empty())
            note += fmt::format(
                "the part '{}' is not the paper's: no avatar.safetensors is written\n", part);
        write_history(folder, run, *ranks, state.step, note);
    });
    share_state(*ranks, state, model, moments_of(optimizer, guard));
    guard.state_changed();
    static std::ostream silence(nullptr);
    auto& out = ranks->first() ? progress : silence;
    const auto steps = options.train.steps;
    const bool terminal = &out == &std::cerr && isatty(STDERR_FILENO) != 0;
    return {.run = std::move(run),
            .folder = folder,
            .objective = objective,
            .model = model,
            .parameters = std::move(parameters),
            .optimizer = std::move(optimizer),
            .pose_objective = std::move(poses),
            .guard = std::move(guard),
            .frames = std::move(frames),
            .ranks = std::move(ranks),
            .share = share,
            .note = std::move(note),
            .state = state,
            .log = std::move(log),
            .gradients = {},
            .progress = Progress(out, terminal, steps, state.step)};
}

bool finished(const Training& training) {
    return training.state.step >= training.run.options.train.steps;
}

bool asked_to_stop(Training& training, bool this_rank) {
    return kept(training, [&] { return training.ranks->any(this_rank); });
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
    const bool last = finished(training), first = training.ranks->first();
    const auto due = [&](int64_t every) { return every > 0 && (done % every == 0 || last); };
    kept(training, [&] {
        if (due(options.log_every)) settle(training);
        if (!first) return;
        if (due(options.log_every)) write_row(training, report);
        if (due(options.sheet_every)) write_sheet(training);
        if (due(options.gradients_every)) write_gradients(training);
    });
    if (done % options.checkpoint_every == 0 && !last) save(training);
}

void save(Training& training) {
    settle(training);
    training.ranks->guarded([&] {
        write_checkpoint(training);
        if (training.ranks->first()) save_results(training.run, training.folder);
    });
}

void finish(Training& training) {
    save(training);
    const auto& progress = training.progress;
    training.ranks->guarded([&] {
        if (progress.done(training.state.step) > 0 && training.ranks->first())
            write_whole(
                training.folder.timing(),
                fmt::format("{{\"steps\": {}, \"seconds\": {:.1f}, \"steps_per_second\": {:.3f}, "
                            "\"waiting_seconds\": {:.3f}}}\n",
                            progress.done(training.state.step), progress.seconds(),
                            progress.steps_per_second(training.state.step), training.waiting));
    });
    (void)training.ranks->any(false);  // no rank leaves as if all were well when another failed
}

}  // namespace fmgs
