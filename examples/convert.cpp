// Whatever people have on disk as a capture:  convert INPUT --out FOLDER [--fit FILE] [--masks
// FOLDER]
#include <fmgs/core/check.h>
#include <fmgs/data/convert.h>
#include <fmgs/run/process.h>
#include <fmgs/run/program.h>
#include <fmgs/run/progress.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

namespace {

using namespace fmgs;

/// What the user does next: train, or what is missing for it.
std::string next_step(const ConvertOptions& options, const ConvertReport& report) {
    const auto out = options.output.string();
    if (!report.masks)
        return fmt::format(
            "no masks: training needs one for each picture; put them into {0}/masks/ under the "
            "picture's names (of {0}/images/), or convert again with --masks FOLDER\n",
            out);
    std::string text;
    if (!report.priors)
        text =
            "no priors of normals, depth and labels: training goes without their losses "
            "(configs/ablations/table3_1_no_priors.yaml), or make them with extract_priors\n";
    if (!options.body.empty())
        text += fmt::format("{}: not copied, a body has a licence of its own\n", options.body);
    return text + fmt::format(
                      "train on it with:  train configs/full.yaml{} data.root={} "
                      "data.body={} output=FOLDER\n",
                      report.priors ? "" : " configs/ablations/table3_1_no_priors.yaml", out,
                      options.body.empty() ? "BODY" : options.body);
}

std::string summary(const ConvertOptions& options, const ConvertReport& report) {
    auto text = fmt::format("{}: {}\n", options.input.string(), report.description);
    for (const auto& note : report.notes) text += fmt::format("note: {}\n", note);
    std::string splits;
    for (const auto& [name, count] : report.frames)
        splits += fmt::format("{}{} {}", splits.empty() ? "" : ", ", count, name);
    return text + fmt::format("{} pictures in {}: {} frames; {} left out\n", report.pictures,
                              options.output.string(), splits, report.left_out);
}

int run_program(const ConvertOptions& options) {
    catch_interrupt();
    std::unique_ptr<Progress> progress;
    const auto report = convert(options, [&](int64_t done, int64_t all) {
        if (interrupted()) throw Error("interrupted; nothing was written");
        if (!progress)
            progress = std::make_unique<Progress>(std::cerr, isatty(STDERR_FILENO) != 0, all);
        if (isatty(STDERR_FILENO) != 0 || done % 100 == 0 || done == all) progress->show(done);
    });
    progress.reset();
    say(summary(options, report) + next_step(options, report));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    keep_freed_memory();
    CLI::App app(
        "Makes a capture of the neutral layout (docs/data_layouts.md) of what there is: a capture "
        "in any layout that train reads, a folder of pictures, or a video, with a fit of the "
        "person.");
    ConvertOptions o;
    app.add_option("input", o.input, "a capture, a folder of pictures, or a video")->required();
    app.add_option("--out", o.output, "folder of the new capture")->required();
    app.add_option("--fit", o.fit,
                   "poses of the frames: ROMP, WHAM, 4D-Humans, GVHMR, EasyMocap, SAM 3D Body, …, "
                   "poses.npz, or a folder of one file per frame; a capture has its own");
    app.add_option("--masks", o.masks,
                   "folder of masks with the pictures' names (default: the capture's own, or the "
                   "pictures' alpha channel)");
    app.add_option("--body", o.body,
                   "the body of the fit, where translations refer to it (Rh and Th, other betas)");
    app.add_option("--person", o.person,
                   "which person of the fit, by its number there (default: the one seen longest)")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--splits", o.splits,
                   "which frames a published protocol takes (configs/splits/)");
    app.add_option("--camera", o.camera, "camera of the train split, where there are several");
    app.add_option("--mhr", o.mhr,
                   "folder of mhr2smpl_mapping.npz and mhr_lod1_mesh.ply, for SAM 3D Body's files "
                   "(default: beside them)");
    app.add_flag("--overwrite", o.overwrite, "replace a capture in the output folder");
    CLI11_PARSE(app, argc, argv);
    return guarded([&] { return run_program(o); });
}
