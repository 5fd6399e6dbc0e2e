// Measures a trained avatar against the held-out pictures and exact maps:  evaluate RUN [SPLIT…]
// [key=value…]
#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/image_io.h>
#include <fmgs/eval/protocols.h>
#include <fmgs/run/evaluation.h>
#include <fmgs/run/learned_poses.h>
#include <fmgs/run/process.h>
#include <fmgs/run/program.h>
#include <fmgs/run/progress.h>
#include <fmgs/run/relight.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <optional>

namespace {

using namespace fmgs;

/// The splits that were asked for; or the protocol's; or, empty, all that are held out.
std::vector<std::string> chosen_splits(const EvalOptions& options,
                                       const std::vector<std::string>& named) {
    if (!named.empty() || options.protocol.empty()) return named;
    return protocol(options.protocol).splits;
}

/// Of the capture that was read, in the order of its description.
std::vector<std::string> held_out_splits(const Run& run) {
    std::vector<std::string> splits;
    for (const char* name : {"test", "test_view", "novel_motion"}) {
        if (run.capture.splits.count(name)) splits.emplace_back(name);
    }
    if (splits.empty())
        throw Error(
            fmt::format("{}: no split is held out; to measure on the training pictures, add "
                        "the word train",
                        run.options.data.root));
    return splits;
}

/// The presets of the options and of the protocol; "clean" is measured anyhow.
std::vector<std::string> chosen_presets(const EvalOptions& options) {
    auto presets = options.presets;
    if (!options.protocol.empty()) {
        for (const auto& name : protocol(options.protocol).presets) presets.push_back(name);
    }
    std::vector<std::string> out;
    for (const auto& name : presets) {
        preset(name);
        if (name != "clean" && std::find(out.begin(), out.end(), name) == out.end())
            out.push_back(name);
    }
    return out;
}

/// All splits before the first file is written: a damaged picture leaves the earlier results.
std::vector<SplitResult> measure_splits(const Run& run, Evaluator& evaluator,
                                        const std::vector<std::string>& splits) {
    int64_t total = 0, done = 0;
    for (const auto& name : splits)
        total += static_cast<int64_t>(run.capture.splits.at(name).size());
    const bool terminal = isatty(STDERR_FILENO) != 0;
    Progress progress(std::cerr, terminal, total);
    const int64_t every = terminal ? 1 : std::max<int64_t>(1, total / 10);
    std::vector<SplitResult> results;
    for (const auto& name : splits) {
        results.push_back(evaluator.measure(name, [&] {
            if (++done % every == 0 || done == total) progress.show(done);
        }));
    }
    return results;
}

struct Report {
    std::string markdown, latex;
};

/// What stands above a table: how it came to be.
std::string remarks(const EvalOptions& options, const std::vector<std::string>& presets,
                    bool fitted, const std::vector<SplitResult>& results) {
    std::string text;
    if (fitted)
        text += fmt::format(
            "- The pose of every picture was fitted to that picture before it was measured: {} "
            "steps, rate {:g}.\n",
            options.fit_epochs, options.fit_rate);
    auto used = presets;
    used.insert(used.begin(), "clean");
    for (const auto& name : used) text += fmt::format("- {}\n", describe(preset(name)));
    for (const auto& result : results) {
        if (!result.worst_frames.empty())
            text += fmt::format("- Worst of {}: {}\n", result.name,
                                fmt::join(result.worst_frames, ", "));
    }
    return text;
}

Report report(const EvalOptions& options, const std::vector<std::string>& presets, bool fitted,
              const std::vector<SplitResult>& results) {
    TableRows rows, bare, all;
    for (const auto& result : results) {
        rows.emplace_back(result.name, result.avatar.mean());
        bare.emplace_back(result.name + ", bare template", result.bare.mean());
        all.push_back(rows.back());
        all.push_back(bare.back());
    }
    const auto notes = remarks(options, presets, fitted, results);
    const auto whole = markdown_table(all, all_columns(all));
    if (options.protocol.empty()) return {whole + "\n" + notes, latex_table(all, all_columns(all))};
    const auto& table = protocol(options.protocol);
    const auto lines = protocol_rows(table, rows, bare);
    const auto title =
        table.title + (fitted ? ", poses fitted to the test pictures" : ", poses not fitted");
    return {fmt::format("{}\n\n{}\n{}\nAll metrics\n\n{}", title,
                        markdown_table(lines, table.columns), notes, whole),
            "% " + title + "\n" + latex_table(lines, table.columns)};
}

/// Speed, which no two evaluations agree on, apart from what they do agree on.
std::string timing(const Run& run, const RunFolder& folder,
                   const std::vector<SplitResult>& results) {
    double seconds = 0;
    int64_t drawn = 0;
    for (const auto& result : results) {
        seconds += result.seconds;
        drawn += result.drawn;
    }
    const auto device = run.device.is_cpu() ? fmt::format("cpu, {} threads", at::get_num_threads())
                                            : run.device.str();
    const auto& camera = run.capture.splits.at("train").heads().front().camera;
    const auto training =
        is_there(folder.timing()) ? read_text(folder.timing()) : std::string("null\n");
    return fmt::format(
        "{{\"frames_per_second\": {:.2f}, \"pictures\": {}, \"size\": \"{}x{}\", \"device\": "
        "\"{}\", \"training\": {}}}\n",
        seconds > 0 ? static_cast<double>(drawn) / seconds : 0.0, drawn, camera.width,
        camera.height, device, training.substr(0, training.find('\n')));
}

/// How far the train poses are off, where that is known: before anything is measured, since it may
/// be wrong input.
std::optional<SplitMetrics> known_pose_errors(const Run& run) {
    if (run.options.eval.true_poses.empty()) return {};
    const auto errors = pose_errors(run);
    const auto mean = errors.mean();
    say(fmt::format("joints of the train poses: {:.1f} mm from the true ones, {:.1f} mm as given\n",
                    value_of(mean, "joint_mm"), value_of(mean, "joint_mm_given")));
    return errors;
}

void write_results(const RunFolder& folder, const std::vector<SplitResult>& results,
                   const std::optional<SplitMetrics>& poses, const Report& text,
                   const std::string& speed) {
    std::filesystem::create_directories(folder.eval());
    std::vector<std::pair<std::string, SplitMetrics>> metrics;
    for (const auto& result : results) {
        write_whole(folder.eval() / (result.name + ".csv"), result.avatar.csv());
        write_color(folder.eval() / (result.name + ".png"), result.sheet);
        if (result.worst.defined())
            write_color(folder.eval() / (result.name + "_worst.png"), result.worst);
        metrics.emplace_back(result.name, result.avatar);
    }
    if (poses) {
        metrics.emplace_back("poses", *poses);
        write_whole(folder.eval() / "poses.csv", poses->csv());
    }
    write_whole(folder.eval() / "metrics.json", metrics_json(metrics));
    write_whole(folder.eval() / "table.md", text.markdown);
    write_whole(folder.eval() / "table.tex", text.latex);
    write_whole(folder.eval() / "timing.json", speed);
}

int run_program(const std::string& folder_name, const std::vector<std::string>& arguments,
                bool fit_test_poses) {
    std::vector<std::string> keys = {folder_name}, named;
    for (const auto& argument : arguments)
        (argument.find('=') == std::string::npos ? named : keys).push_back(argument);
    const auto folder = RunFolder::open(folder_name);
    const auto options = read_options(keys);
    const auto presets = chosen_presets(options.eval);
    auto parts = held_out_parts();
    parts.splits = chosen_splits(options.eval, named);
    auto run = open_run(options, parts);
    const auto splits = parts.splits.empty() ? held_out_splits(run) : parts.splits;
    const auto step = load_latest(run, folder);
    if (!options.eval.light.empty()) relight(run.avatar, scene_of(run), options.eval.light);
    Evaluator evaluator(run, presets, fit_test_poses);
    say(fmt::format("step {}, {} surfels\n{}", step, run.avatar->parts().surfels->size(),
                    evaluator.note()));
    const auto poses = known_pose_errors(run);
    const auto results = measure_splits(run, evaluator, splits);
    const auto text = report(options.eval, presets, fit_test_poses, results);
    const auto speed = timing(run, folder, results);
    write_results(folder, results, poses, text, speed);
    for (const auto& name : splits) say(drawn_poses_text(run, name));
    say(text.markdown + speed);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    fmgs::keep_freed_memory();
    CLI::App app(
        "Measures a trained avatar; writes RUN/eval/{SPLIT.csv, SPLIT.png, SPLIT_worst.png, "
        "table.md, table.tex, metrics.json, timing.json}.");
    std::string folder;
    std::vector<std::string> arguments;
    bool fit_test_poses = false;
    app.add_option("run", folder, "folder of the run")->required();
    app.add_option("arguments", arguments,
                   "splits (default: the protocol's, or all but train) and key=value… (eval.…)");
    app.add_flag("--fit-test-poses", fit_test_poses,
                 "fit the pose of each picture to it before measuring (eval.fit_epochs, fit_rate)");
    CLI11_PARSE(app, argc, argv);
    return fmgs::guarded([&] { return run_program(folder, arguments, fit_test_poses); });
}
