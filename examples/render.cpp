// Draws a trained avatar:  render RUN [--orbit N | --motion FILE] [key=value…]
#include <fmgs/core/check.h>
#include <fmgs/core/cuda/memory.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/motion.h>
#include <fmgs/eval/colors.h>
#include <fmgs/eval/sheet.h>
#include <fmgs/run/progress.h>
#include <fmgs/run/run.h>
#include <fmgs/run/run_folder.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <numbers>

namespace {

namespace fs = std::filesystem;
using namespace fmgs;

/// Every modality as a picture under its name.
Maps pictures(const Maps& maps) {
    Maps out;
    for (const auto& [name, map] : maps) out.set(name, colorize(name, map, maps.at("alpha")));
    return out;
}

/// RUN/render/NAME/MODALITY/000000.png … and RUN/render/NAME.mp4 with all modalities side by side.
void draw_sequence(Run& run, const fs::path& folder,
                   const std::vector<std::pair<Camera, BodyPose>>& shots, double fps) {
    const auto aside = fs::path(folder.string() + ".partial");
    fs::remove_all(aside);
    std::unique_ptr<VideoWriter> video;
    Progress progress(std::cerr, isatty(STDERR_FILENO) != 0, static_cast<int64_t>(shots.size()));
    for (size_t k = 0; k < shots.size(); ++k) {
        std::vector<torch::Tensor> row;
        for (const auto& [name, picture] : pictures(draw(run, shots[k].first, shots[k].second))) {
            fs::create_directories(aside / name);
            write_color(aside / name / fmt::format("{:06d}.png", k), picture);
            row.push_back(picture);
        }
        const auto all = beside(row);
        if (!video)
            video = std::make_unique<VideoWriter>(folder.string() + ".mp4", all.size(2),
                                                  all.size(1), fps);
        if (video->good()) video->add(all);
        progress.show(static_cast<int64_t>(k) + 1);
    }
    if (video) video->finish();
    fs::remove_all(folder);
    fs::rename(aside, folder);
}

std::vector<std::pair<Camera, BodyPose>> turntable(Run& run, int64_t count) {
    const auto& frames = run.capture.splits.at("train");
    const auto& frame = frames.front();
    const auto pose = run.pose(frame);
    const auto pivot = median_root({frame}, run.body->joints()[0]);
    std::vector<std::pair<Camera, BodyPose>> shots;
    for (int64_t k = 0; k < count; ++k) {
        const double angle =
            2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(count);
        shots.emplace_back(frame.camera.orbit(pivot, -frame.camera.rotation[1], angle), pose);
    }
    return shots;
}

std::vector<std::pair<Camera, BodyPose>> dance(Run& run, const std::string& file, int64_t stride,
                                               int64_t count, double& fps) {
    const auto motion = read_motion(file, run.body->joint_count());
    fmt::print("{}\n", motion.description);
    fps = motion.fps / static_cast<double>(stride);
    const auto& frames = run.capture.splits.at("train");
    const auto& camera = frames.front().camera;
    const auto rest = run.body->joints()[0];
    const Placement placement{
        .rest_root = rest, .position = median_root(frames, rest), .up = -camera.rotation[1]};
    std::vector<std::pair<Camera, BodyPose>> shots;
    const auto poses = place_motion(motion, camera, placement);
    for (size_t k = 0; k < poses.size() && static_cast<int64_t>(shots.size()) < count;
         k += static_cast<size_t>(stride)) {
        shots.emplace_back(camera, poses[k]);
    }
    return shots;
}

}  // namespace

int main(int argc, char** argv) {
    fmgs::keep_freed_memory();
    CLI::App app(
        "Draws a trained avatar in every modality: PNG sequences and a video in RUN/render/.");
    std::string folder_name, motion;
    std::vector<std::string> arguments;
    int64_t count = 48, stride = 1, frames = 100000;
    double scale = 1;
    app.add_option("run", folder_name, "folder of the run")->required();
    app.add_option("arguments", arguments, "key=value…");
    auto* orbit_option = app.add_option("--orbit", count, "views around the first training pose")
                             ->check(CLI::Range(1, 10000));
    auto* motion_option = app.add_option(
        "--motion", motion, "pose file to follow (AMASS, AIST++, InstantAvatar or poses.npz)");
    motion_option->check(CLI::ExistingFile)->excludes(orbit_option);
    app.add_option("--stride", stride, "take every so many poses of the motion")
        ->check(CLI::PositiveNumber);
    app.add_option("--frames", frames, "draw at most so many")->check(CLI::PositiveNumber);
    app.add_option("--scale", scale, "resolution, times that of the training pictures")
        ->check(CLI::Range(0.05, 16.0));
    CLI11_PARSE(app, argc, argv);
    return fmgs::guarded([&] {
        const auto folder = RunFolder::open(folder_name);
        arguments.insert(arguments.begin(), folder_name);
        auto run = open_run(read_options(arguments));
        load_latest(run, folder);
        double fps = 24;
        auto shots =
            motion.empty() ? turntable(run, count) : dance(run, motion, stride, frames, fps);
        for (auto& [camera, pose] : shots) camera = camera.scaled(scale);
        const auto name = motion.empty() ? std::string("orbit") : fs::path(motion).stem().string();
        draw_sequence(run, folder.render() / name, shots, fps);
        fmt::print("{} pictures of each modality in {}\n", shots.size(),
                   (folder.render() / name).string());
        return 0;
    });
}
