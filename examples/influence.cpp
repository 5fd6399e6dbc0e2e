// Shows which loss moves what:  influence RUN [key=value…]
// Draws, for every loss, the size of its gradient to each attribute of each surfel in the first
// training frame.
#include <fmgs/core/check.h>
#include <fmgs/data/image_io.h>
#include <fmgs/eval/sheet.h>
#include <fmgs/raster/render.h>
#include <fmgs/run/run.h>
#include <fmgs/run/run_folder.h>
#include <fmt/format.h>
#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <CLI/CLI.hpp>

namespace {

namespace fs = std::filesystem;
using namespace fmgs;

/// Columns of the routing table, as leaves: name → tensor with N rows.
using Columns = std::vector<std::pair<std::string, torch::Tensor>>;

/// Makes a leaf of every attribute of the surfels, and lists them.
Columns make_leaves(Surfels& s) {
    Columns columns;
    const auto leaf = [&](const std::string& name, torch::Tensor& x) {
        x = x.detach().requires_grad_(true);
        columns.emplace_back(name, x);
    };
    leaf("position", s.position);
    leaf("rotation", s.rotation);
    leaf("scale", s.scale);
    leaf("opacity", s.opacity);
    leaf("skinning", s.skinning);
    s.bones = s.bones.detach();
    for (auto* maps : {&s.features, &s.latents}) {
        Maps leaves;
        for (auto [name, value] : *maps) {
            leaf(maps == &s.features ? name : name + ".latent", value);
            leaves.set(name, value);
        }
        *maps = leaves;
    }
    return columns;
}

/// Gradient of one term to every column, [N] sizes; undefined where it does not reach.
std::vector<torch::Tensor> sizes(const ObjectiveImpl::Entry& entry, const Surfels& surfels,
                                 const Columns& columns, const Frame& frame) {
    Objective alone;
    alone->add(entry.name, entry.loss, 1.0, entry.reach);
    const auto total = alone->forward(surfels, frame, Random{}, 1).total;
    if (!total.requires_grad()) return std::vector<torch::Tensor>(columns.size());  // L_skin
    torch::autograd::variable_list leaves;
    for (const auto& [name, leaf] : columns) leaves.push_back(leaf);
    auto found = torch::autograd::grad({total}, leaves, {}, {}, false, /*allow_unused=*/true);
    for (auto& g : found) {
        if (!g.defined()) continue;
        g = g.flatten(1).norm(2, 1);
        if (g.max().item<double>() == 0) g = torch::Tensor();
    }
    return found;
}

/// Sizes [N] → colours [N,3], black-red-yellow-white up to the 99th percentile; grey where
/// undefined.
torch::Tensor heat(const torch::Tensor& size, int64_t n) {
    if (!size.defined()) return torch::full({n, 3}, 0.15);
    const auto most = std::get<0>(size.kthvalue(std::max<int64_t>(1, n * 99 / 100)));
    const auto x = (size / most.clamp_min(1e-30)).clamp(0, 1).sqrt().unsqueeze(1);
    return (3 * x - torch::tensor({0.0F, 1.0F, 2.0F})).clamp(0, 1);
}

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
    Frame frame = run.capture.splits.at("train").front().to(run.device);
    frame.pose = run.pose(frame);
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
        const auto found = sizes(entry, surfels, columns, frame);
        const torch::NoGradGuard guard;
        std::vector<torch::Tensor> pictures;
        fmt::print("{:16}", entry.name);
        for (const auto& size : found) {
            fmt::print(" {:>15}",
                       size.defined() ? fmt::format("{:.1e}", size.mean().item<double>()) : "-");
            posed.features = {{"size", heat(size, surfels.size())}};
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
