// Measures a trained avatar against the held-out pictures and exact maps:  evaluate RUN [SPLIT…]
// [key=value…]
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/image_io.h>
#include <fmgs/eval/metrics.h>
#include <fmgs/eval/sheet.h>
#include <fmgs/raster/render.h>
#include <fmgs/run/draw.h>
#include <fmgs/run/learned_poses.h>
#include <fmgs/run/process.h>
#include <fmgs/run/program.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <CLI/CLI.hpp>

namespace {

using namespace fmgs;

/// The bare posed template's geometry: the floor that an avatar has to beat.
Maps draw_template(const Run& run, const SurfelSet& surfels, const Frame& taken) {
    const torch::NoGradGuard guard;
    const auto bare =
        template_surfels(*run.body, *surfels, run.options.avatar.subdivisions, taken.pose);
    return render(bare.posed(), taken.camera, {"alpha", "depth", "normal"}).to(torch::kCPU);
}

/// The splits that were asked for, or all that are held out; and their exact maps, no prior.
CaptureParts chosen_parts(const RunOptions& options, std::vector<std::string> splits) {
    if (splits.empty()) {
        splits = split_names(options.data);
        std::erase(splits, "train");
    }
    if (splits.empty())
        throw Error(
            fmt::format("{}: no split is held out; to measure on the training pictures, add "
                        "the word train",
                        options.data.root));
    return {splits, /*priors=*/false, /*truth=*/true};
}

struct Evaluated {
    SplitMetrics avatar, bare;
    torch::Tensor sheet;
};

Evaluated evaluate_split(const Run& run, const SurfelSet& surfels, const FrameList& frames) {
    Evaluated out;
    Confusion confusion(run.options.avatar.modalities.count("semantic")
                            ? run.options.avatar.modalities.at("semantic").channels
                            : 1);
    std::vector<torch::Tensor> rows;
    for (const auto& frame : frames) {
        const auto taken = take(run, frame);
        const auto rendered = draw(run.avatar, taken.camera, taken.pose);
        out.avatar.frames.emplace_back(frame.name, evaluate_frame(rendered, frame, &confusion));
        out.bare.frames.emplace_back(frame.name,
                                     evaluate_frame(draw_template(run, surfels, taken), frame));
        if ((out.bare.frames.size() - 1) % std::max<size_t>(1, frames.size() / 4) == 0)
            rows.push_back(sheet_row(frame, rendered));
    }
    out.avatar.whole = {{"miou", confusion.mean_iou()}};
    out.sheet = below(rows);
    return out;
}

int run_program(const std::string& folder_name, const std::vector<std::string>& arguments) {
    std::vector<std::string> keys = {folder_name}, splits;
    for (const auto& argument : arguments)
        (argument.find('=') == std::string::npos ? splits : keys).push_back(argument);
    const auto folder = RunFolder::open(folder_name);
    const auto options = read_options(keys);
    const auto parts = chosen_parts(options, splits);
    auto run = open_run(options, parts);
    const auto step = load_latest(run, folder);
    const SurfelSet untrained(canonical_template(*run.body, run.options.avatar.subdivisions).mesh,
                              run.options.avatar.surfels);

    // All splits before the first file is written: a damaged picture leaves the earlier results.
    std::vector<Evaluated> all;
    for (const auto& name : parts.splits)
        all.push_back(evaluate_split(run, untrained, run.capture.splits.at(name)));
    std::filesystem::create_directories(folder.eval());
    std::vector<std::pair<std::string, SplitMetrics>> results;
    std::vector<std::pair<std::string, MetricValues>> table;
    for (size_t k = 0; k < all.size(); ++k) {
        const auto& name = parts.splits[k];
        auto& evaluated = all[k];
        write_whole(folder.eval() / (name + ".csv"), evaluated.avatar.csv());
        write_color(folder.eval() / (name + ".png"), evaluated.sheet);
        table.emplace_back(name, evaluated.avatar.mean());
        table.emplace_back(name + ", bare template", evaluated.bare.mean());
        results.emplace_back(name, std::move(evaluated.avatar));
    }
    write_whole(folder.eval() / "metrics.json", metrics_json(results));
    const auto text = metrics_table(table);
    write_whole(folder.eval() / "table.md", text);
    for (const auto& name : parts.splits) say(drawn_poses_text(run, name));
    fmt::print("step {}, {} surfels\n{}", step, run.avatar->parts().surfels->size(), text);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    fmgs::keep_freed_memory();
    CLI::App app(
        "Measures a trained avatar; writes RUN/eval/{SPLIT.csv, SPLIT.png, table.md, "
        "metrics.json}.");
    std::string folder;
    std::vector<std::string> arguments;
    app.add_option("run", folder, "folder of the run")->required();
    app.add_option("arguments", arguments, "splits (default: all but train) and key=value…");
    CLI11_PARSE(app, argc, argv);
    return fmgs::guarded([&] { return run_program(folder, arguments); });
}
