// Priors of a folder of pictures by networks in TorchScript, of Sapiens or any other:
//   extract_priors INPUT [--out FOLDER] [--seg FILE] [--normal FILE] [--depth FILE]
#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/data/extract_priors.h>
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

struct Arguments {
    std::string input, output, seg, normal, depth, model, device = "cpu";
    int64_t batch = 1;
    bool half = false;
};

int run_program(const Arguments& a) {
    catch_interrupt();
    ExtractOptions options;
    options.input = a.input;
    options.output = a.output;
    options.batch = a.batch;
    options.half = a.half;
    options.device = torch::Device(a.device);
    if (!a.seg.empty()) options.files[PriorTask::seg] = a.seg;
    if (!a.normal.empty()) options.files[PriorTask::normal] = a.normal;
    if (!a.depth.empty()) options.files[PriorTask::depth] = a.depth;
    if (!a.model.empty()) {
        Config config;
        config.add_file(a.model);
        config.read(options.networks);
    }
    std::unique_ptr<Progress> progress;
    const auto report = extract_priors(options, [&](int64_t done, int64_t all) {
        if (!progress)
            progress = std::make_unique<Progress>(std::cerr, isatty(STDERR_FILENO) != 0, all);
        if (isatty(STDERR_FILENO) != 0 || done % 100 < a.batch || done == all) progress->show(done);
        if (interrupted()) throw Error("interrupted; the same command goes on where this ends");
    });
    progress.reset();
    std::string text;
    for (const auto& note : report.notes) text += fmt::format("note: {}\n", note);
    say(text + fmt::format("{} maps of {} pictures made, {} kept, in {}\n", report.made,
                           report.pictures, report.kept, report.output.string()));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Makes the priors of pictures: labels, normals and depth by networks in TorchScript. A "
        "second call makes what is missing.");
    Arguments a;
    app.add_option("input", a.input, "a folder of pictures, or a capture with images/")->required();
    app.add_option("--out", a.output, "folder for the priors (default: CAPTURE/priors)");
    app.add_option("--seg", a.seg, "network of labels, of 28 or 29 classes")
        ->check(CLI::ExistingFile);
    app.add_option("--normal", a.normal, "network of normals")->check(CLI::ExistingFile);
    app.add_option("--depth", a.depth, "network of depth")->check(CLI::ExistingFile);
    app.add_option("--model", a.model,
                   "description of networks that are not Sapiens' first (docs/data_layouts.md)")
        ->check(CLI::ExistingFile);
    app.add_option("--batch", a.batch, "pictures at a time")->check(CLI::Range(1, 1024));
    app.add_flag("--half", a.half, "in half precision: for GPUs");
    app.add_option("--device", a.device, "cpu or cuda")->check(CLI::IsMember({"cpu", "cuda"}));
    CLI11_PARSE(app, argc, argv);
    return guarded([&] { return run_program(a); });
}
