// Draws a trained avatar:  render RUN|FILE.safetensors [--orbit N | --motion FILE] [key=value…]
#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/data/image_io.h>
#include <fmgs/eval/colors.h>
#include <fmgs/eval/sheet.h>
#include <fmgs/run/draw.h>
#include <fmgs/run/process.h>
#include <fmgs/run/program.h>
#include <fmgs/run/progress.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

namespace {

namespace fs = std::filesystem;
using namespace fmgs;

struct Arguments {
    std::string avatar, motion, out;
    std::vector<std::string> keys;
    int64_t count = 48, stride = 1, frames = 100000;
    double scale = 1;
};

struct DeviceOptions {
    std::string device = "cpu";

    template <class V>
    void visit(V& v) {
        v("device", device);
    }
};

/// The keys of a run that drawing knows; all else stands in the avatar file.
struct DrawOptions {
    DeviceOptions train;
    RenderOptions render;

    template <class V>
    void visit(V& v) {
        v.group("train", train);
        v.group("render", render);
    }
};

SavedAvatar open_avatar(const fs::path& file, const std::vector<std::string>& keys) {
    if (!fs::exists(file)) {
        throw Error(
            fmt::format("{}: there is no such file; a run has it from its first checkpoint on, and "
                        "`train RUN` writes it for one of an earlier version",
                        file.string()));
    }
    Config config;
    for (const auto& key : keys) config.add_argument(key);
    DrawOptions options;
    config.read(options);  // before the file, so that a wrong key costs no time
    auto saved = load_avatar(file, device_of(options.train.device));
    options.render.low_pass = saved.scene.camera.low_pass;
    config.read(options);
    saved.scene.camera.low_pass = options.render.low_pass;
    return saved;
}

/// FOLDER/NAME/MODALITY/000000.png … and FOLDER/NAME.mp4 with all modalities side by side: whole,
/// or as they were before.
void draw_sequence(const Avatar& avatar, const fs::path& folder, const std::vector<Shot>& shots,
                   double fps) {
    const auto aside = fs::path(folder.string() + ".partial");
    fs::remove_all(aside);
    fs::create_directories(aside);
    std::unique_ptr<VideoWriter> video;
    Progress progress(std::cerr, isatty(STDERR_FILENO) != 0, static_cast<int64_t>(shots.size()));
    for (size_t k = 0; k < shots.size(); ++k) {
        std::vector<torch::Tensor> row;
        const auto maps = draw(avatar, shots[k].camera, shots[k].pose);
        for (const auto& [name, map] : maps) {
            const auto picture = colorize(name, map, maps.at("alpha"));
            fs::create_directories(aside / name);
            write_color(aside / name / fmt::format("{:06d}.png", k), picture);
            row.push_back(picture);
        }
        const auto all = beside(row);
        if (!video)
            video =
                std::make_unique<VideoWriter>(aside / "video.mp4", all.size(2), all.size(1), fps);
        if (video->good()) video->add(all);
        progress.show(static_cast<int64_t>(k) + 1);
    }
    if (video && video->good()) {
        video->finish();
        fs::rename(video->file(), folder.string() + video->file().extension().string());
    }
    fs::remove_all(folder);
    fs::rename(aside, folder);
}

int run_program(const Arguments& arguments) {
    const bool is_run = fs::is_directory(arguments.avatar);
    const auto run = is_run ? RunFolder::open(arguments.avatar) : RunFolder{};
    const auto saved =
        open_avatar(is_run ? run.avatar() : fs::path(arguments.avatar), arguments.keys);
    const fs::path out = !arguments.out.empty() ? fs::path(arguments.out)
                         : is_run               ? run.render()
                                                : fs::path(arguments.avatar + "_render");
    double fps = 24;
    std::string name = "orbit";
    std::vector<Shot> shots;
    if (arguments.motion.empty()) {
        shots = turntable(saved, arguments.count);
    } else {
        const auto motion =
            read_motion(arguments.motion, saved.avatar->parts().body->joint_count());
        fmt::print("{}\n", motion.description);
        fps = motion.fps / static_cast<double>(arguments.stride);
        name = fs::path(arguments.motion).stem().string();
        shots = follow(saved, motion, arguments.stride, arguments.frames);
    }
    for (auto& shot : shots) shot.camera = shot.camera.scaled(arguments.scale);
    draw_sequence(saved.avatar, out / name, shots, fps);
    fmt::print("{} pictures of each modality in {}\n", shots.size(), (out / name).string());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    keep_freed_memory();
    CLI::App app(
        "Draws a trained avatar in every modality: PNG sequences and a video. An avatar file needs "
        "nothing beside it; of a run, RUN/avatar.safetensors is drawn.");
    Arguments a;
    app.add_option("avatar", a.avatar, "an avatar file, or the folder of a run")->required();
    app.add_option("keys", a.keys, "train.device=…, render.low_pass=…");
    app.add_option("--out", a.out,
                   "folder for the pictures (default: RUN/render, or FILE_render beside the file)");
    auto* orbit = app.add_option("--orbit", a.count, "views around the first training pose")
                      ->check(CLI::Range(1, 10000));
    app.add_option("--motion", a.motion,
                   "pose file to follow (AMASS, AIST++, InstantAvatar or poses.npz)")
        ->check(CLI::ExistingFile)
        ->excludes(orbit);
    app.add_option("--stride", a.stride, "take every so many poses of the motion")
        ->check(CLI::PositiveNumber);
    app.add_option("--frames", a.frames, "draw at most so many")->check(CLI::PositiveNumber);
    app.add_option("--scale", a.scale, "resolution, times that of the training pictures")
        ->check(CLI::Range(0.05, 16.0));
    CLI11_PARSE(app, argc, argv);
    return guarded([&] { return run_program(a); });
}
