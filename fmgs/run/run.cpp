
#include <fmgs/run/run.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/cuda/memory.h>
#include <fmgs/data/image_io.h>
#include <fmgs/eval/sheet.h>
#include <fmgs/raster/render.h>
#include <fmgs/train/checkpoint.h>
#include <fmt/format.h>
#include <torch/cuda.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>

namespace fmgs {

namespace fs = std::filesystem;

RunOptions read_options(const std::vector<std::string>& arguments) {
    Config config;
    // Files first, whatever their place on the command line: arguments win over files.
    for (const auto& argument : arguments) {
        if (argument.find('=') == std::string::npos) {
            config.add_file(fs::is_directory(argument)
                                ? (fs::path(argument) / "config.yaml").string()
                                : argument);
        }
    }
    for (const auto& argument : arguments) {
        if (argument.find('=') != std::string::npos) config.add_argument(argument);
    }
    RunOptions options;
    config.read(options);
    device_of(options.train.device);
    return options;
}

torch::Device device_of(const std::string& name) {
    if (name == "cpu") return torch::kCPU;
    const bool numbered = name.rfind("cuda:", 0) == 0 && name.size() > 5 && name.size() < 9 &&
                          name.find_first_not_of("0123456789", 5) == std::string::npos;
    if (name != "cuda" && !numbered)
        throw Error(fmt::format("train.device: expected cpu, cuda or cuda:N, got '{}'", name));
    const torch::Device device(
        torch::kCUDA,
        numbered ? static_cast<int8_t>(std::min(127, std::stoi(name.substr(5)))) : int8_t{0});
    check_device(device, "train.device");
    const auto count = static_cast<int64_t>(torch::cuda::device_count());
    if (device.index() >= count)
        throw Error(fmt::format(
            "train.device: '{}' was asked for, but {} GPUs are visible (is there a driver?)", name,
            count));
    return device;
}

namespace {

/// As few bytes as training can do with.
torch::Tensor compact(const std::string& name, const torch::Tensor& map) {
    if (map.is_floating_point()) return name == "depth" ? map : map.to(torch::kHalf);
    if (map.scalar_type() == torch::kBool || map.numel() == 0) return map;
    const bool bytes = map.min().item<int64_t>() >= 0 && map.max().item<int64_t>() <= 255;
    return bytes ? map.to(torch::kByte) : map;
}

}  // namespace

std::vector<Frame> training_frames(const Run& run, std::string& note) {
    auto frames = run.capture.splits.at("train");
    for (auto& frame : frames) frame.truth = {};  // losses never see it
    if (run.device.is_cpu()) return frames;
    size_t bytes = 0;
    for (auto& frame : frames) {
        Maps maps;
        for (const auto& [name, map] : frame.maps) {
            maps.set(name, compact(name, map));
            bytes += maps.at(name).nbytes();
        }
        frame.maps = std::move(maps);
    }
    const bool fits = static_cast<int64_t>(bytes) < free_memory(run.device) / 2;
    note = fmt::format("{} training frames, {:.0f} MB, {}", frames.size(), double(bytes) / 1e6,
                       fits ? "on the GPU" : "too large for the GPU: each comes over for its step");
    if (fits) {
        for (auto& frame : frames) frame = frame.to(run.device);
    }
    return frames;
}

namespace {

/// Surfels' initial scale decides `auto`; the answer is written back so that config.yaml and later
/// programs agree.
int64_t subdivisions_for(const RunOptions& options, const Capture& capture, const BodyModel& body) {
    if (options.avatar.subdivisions >= 0) return options.avatar.subdivisions;
    const Frame& frame = capture.splits.at("train").front();
    return choose_subdivisions(*body, options.avatar.surfels, frame.camera, frame.pose);
}

std::map<std::string, std::string> modality_folders(const AvatarOptions& options) {
    std::map<std::string, std::string> folders;
    for (const auto& [name, modality] : options.modalities) {
        if (name != "semantic")
            folders[name] = modality.folder.empty() ? "priors/" + name : modality.folder;
    }
    return folders;
}

}  // namespace

Run open_run(const RunOptions& options) {
    if (options.data.root.empty())
        throw Error("data.root: the folder of the capture is not set; add data.root=FOLDER");
    Run run;
    run.options = options;
    if (run.options.data.body.empty()) {
        const auto beside = fs::path(options.data.root) / "body.npz";
        if (!fs::exists(beside)) {
            throw Error(
                fmt::format("data.body: not set, and {} does not exist; add data.body=FILE.npz",
                            beside.string()));
        }
        run.options.data.body = beside.string();
    }
    run.capture = read_capture(run.options.data, modality_folders(options.avatar));
    for (auto& [split, frames] : run.capture.splits) {
        for (auto& frame : frames) frame.camera.low_pass = options.render.low_pass;
    }
    const auto& train = run.capture.splits.at("train");
    run.body =
        BodyModel(read_body(run.options.data.body), run.capture.betas, options.avatar.star_degrees);
    run.options.avatar.subdivisions = subdivisions_for(options, run.capture, run.body);
    const auto seed = static_cast<uint64_t>(options.train.seed);
    run.avatar = Avatar(paper_parts(run.body, run.options.avatar, seed));

    std::vector<BodyPose> poses;
    for (const auto& frame : train) poses.push_back(frame.pose);
    run.poses = PoseTable(poses);
    run.root = std::make_shared<torch::nn::Module>("run");
    run.root->register_module("avatar", run.avatar);
    run.root->register_module("poses", run.poses);
    run.device = device_of(options.train.device);
    run.root->to(run.device);
    return run;
}

BodyPose Run::pose(const Frame& frame) {
    return options.pose.learn && frame.index >= 0 ? poses->forward(frame.index)
                                                  : frame.pose.to(device);
}

void prefit(Run& run) {
    if (!run.options.avatar.skinning.prefit) return;
    const auto seed = Random{static_cast<uint64_t>(run.options.train.seed)}.number("prefit");
    const auto canonical = run.body->canonical();
    prefit_skinning(
        *run.avatar->parts().skinning, {canonical.vertices.cpu(), canonical.faces.cpu()},
        run.body->weights().cpu(), run.options.avatar.skinning, seed,
        [](int64_t step, int64_t steps, double loss) {
            fmt::print(stderr, "\rfitting the skinning field: {}/{}  {:.2e} ", step, steps, loss);
        });
    fmt::print(stderr, "\n");
}

int64_t load_latest(Run& run, const RunFolder& folder) {
    const auto last = latest_checkpoint(folder.checkpoints());
    if (!last)
        throw Error(fmt::format("{}: there is no checkpoint; train it first",
                                folder.checkpoints().string()));
    return load_checkpoint(last->folder, named_tensors(*run.root)).step;
}

const Frame& frame_of(const std::vector<Frame>& frames, int64_t step, uint64_t seed) {
    const auto count = static_cast<int64_t>(frames.size());
    const auto order =
        torch::randperm(count, Random{seed, step / count}.generator("frames"), torch::kLong);
    return frames[static_cast<size_t>(order[step % count].item<int64_t>())];
}

std::vector<std::string> metric_columns(const Objective& objective) {
    std::vector<std::string> names = {"loss", "psnr"};
    for (const auto& entry : objective->entries()) names.push_back(entry.name);
    return names;
}

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

void write_sheet(Run& run, const RunFolder& folder, int64_t step) {
    const auto& frames = run.capture.splits.at("train");
    std::vector<torch::Tensor> rows;
    for (const size_t k : {size_t{0}, frames.size() / 3, 2 * frames.size() / 3})
        rows.push_back(sheet_row(frames[k], draw(run, frames[k].camera, run.pose(frames[k]))));
    fs::create_directories(folder.sheets());
    write_color(folder.sheets() / fmt::format("{:06d}.png", step), below(rows));
}

void print_run(const Run& run) {
    fmt::print("{}\n", run.capture.description);
    for (const auto& note : run.capture.notes) fmt::print("note: {}\n", note);
    fmt::print("{} surfels ({} subdivisions), {} steps\n", run.avatar->parts().surfels->size(),
               run.options.avatar.subdivisions, run.options.train.steps);
}

void add_option_lists(CLI::App& app) {
    const auto add = [&](const char* flag, const std::string& help, auto text) {
        app.add_flag_callback(
            flag,
            [text] {
                fmt::print("{}", text());
                throw CLI::Success();
            },
            help);
    };
    add("--defaults", "print every key with its default, as YAML",
        [] { return dump_yaml(RunOptions{}, true); });
    add("--options", "print the table of options, as Markdown",
        [] { return options_markdown(RunOptions{}); });
}

int guarded(const std::function<int()>& body) {
    try {
        return body();
    } catch (const std::exception& error) {
        fmt::print(stderr, "\nerror: {}\n", error.what());
        return 1;
    }
}

Maps draw(Run& run, const Camera& camera, const BodyPose& pose) {
    const torch::NoGradGuard guard;
    const auto there = camera.to(run.device);
    const auto surfels = run.avatar->forward(there, pose.to(run.device));
    std::vector<std::string> names = {"alpha", "depth", "normal"};
    for (const auto& [name, feature] : surfels.features) names.push_back(name);
    return render(surfels.posed(), there, names).to(torch::kCPU);
}

}  // namespace fmgs
