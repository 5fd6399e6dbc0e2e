// Shows which loss moves what:  influence RUN [key=value…]
// Draws, for every loss, the size of its gradient to each attribute of each surfel in the first
// training frame.
#include <fmgs/core/check.h>
#include <fmgs/data/image_io.h>
#include <fmgs/eval/sheet.h>
#include <fmgs/raster/render.h>
#include <fmgs/run/influence.h>
#include <fmgs/run/program.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <CLI/CLI.hpp>

namespace {

namespace fs = std::filesystem;
using namespace fmgs;

/// The part of a picture [3,H,W] where `where` [H,W] is set.
torch::Tensor cut_to(const torch::Tensor& image, const torch::Tensor& where) {
    const auto rows = where.any(1).nonzero(), columns = where.any(0).nonzero();
    if (rows.numel() == 0) return image;
    return image.slice(1, rows[0].item<int64_t>(), rows[-1].item<int64_t>() + 1)
        .slice(2, columns[0].item<int64_t>(), columns[-1].item<int64_t>() + 1);
}

int run_program(const std::vector<std::string>& arguments) {
    const RunFolder folder = RunFolder::open(arguments.front());
    auto run = open_run(read_options(arguments));
    const auto step = load_latest(run, folder);
    const auto frame = take(run, run.capture.splits.at("train").front());
    auto surfels = run.avatar->forward(frame.camera, frame.pose);
    const auto columns = make_leaves(surfels);

    const auto out = folder.influence();
    fs::create_directories(out);
    fmt::print("step {}, frame {}, routing {}; mean size of the gradient to a surfel\n{:16}", step,
               frame.name, run.options.objective.routing, "");
    for (const auto& [name, leaf] : columns) fmt::print(" {:>15}", name);
    fmt::print("\n");
    const auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    auto posed = surfels.posed();
    std::vector<torch::Tensor> rows;
    for (const auto& entry : objective->entries()) {
        const auto found = gradient_sizes(entry, surfels, columns, frame);
        const torch::NoGradGuard guard;
        std::vector<torch::Tensor> pictures;
        fmt::print("{:16}", entry.name);
        for (const auto& size : found) {
            fmt::print(" {:>15}",
                       size.defined() ? fmt::format("{:.1e}", size.mean().item<double>()) : "-");
            posed.features = {{"size", heat(size, surfels.size(), posed.center.options())}};
            const auto maps = render(posed, frame.camera, {"size", "alpha"}).to(torch::kCPU);
            pictures.push_back(cut_to(maps.at("size"), maps.at("alpha")[0] > 0.5));
        }
        fmt::print("\n");
        rows.push_back(beside(pictures));
        write_color(out / (entry.name + ".png"), rows.back());
    }
    write_color(out / "routing.png", below(rows));
    fmt::print("{}\n", (out / "routing.png").string());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Draws which attribute of which surfel each loss moves: RUN/influence/LOSS.png, one "
        "picture "
        "for each column of the routing table, and all of them in RUN/influence/routing.png.");
    std::vector<std::string> arguments;
    app.add_option("arguments", arguments, "the folder of a run, then key=value… (routing=off)")
        ->required();
    CLI11_PARSE(app, argc, argv);
    return fmgs::guarded([&] { return run_program(arguments); });
}
