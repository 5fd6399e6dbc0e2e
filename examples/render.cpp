// Draws a trained avatar:  render RUN|FILE.safetensors [--orbit N | --motion FILE] [key=value…]
#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/io/files.h>
#include <fmgs/run/draw.h>
#include <fmgs/run/picture_sequence.h>
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
    std::string avatar, motion, mhr, out;
    std::vector<std::string> keys;
    int64_t count = 48, person = -1, stride = 1, frames = 100000;
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

Drawable open_avatar(const fs::path& file, const std::vector<std::string>& keys) {
    if (!is_there(file)) {
        throw Error(
            fmt::format("{}: there is no such file; a run has it from its first checkpoint on, and "
                        "`train RUN` writes it for one of an earlier version",
                        file.string()));
    }
    Config config;
    for (const auto& key : keys) config.add_argument(key);
    DrawOptions options;
    config.read(options);  // before the file, so that a wrong key costs no time
    auto avatar = load_drawable(file, device_of(options.train.device));
    options.render.low_pass = avatar.scene.camera.low_pass;
    config.read(options);
    avatar.scene.camera.low_pass = options.render.low_pass;
    return avatar;
}

/// FOLDER/MODALITY/000000.png … and FOLDER.mp4 with all modalities side by side.
void draw_sequence(const Drawable& avatar, const fs::path& folder, const std::vector<Shot>& shots,
                   double fps) {
    const auto count = static_cast<int64_t>(shots.size());
    Progress progress(std::cerr, isatty(STDERR_FILENO) != 0, count);
    const auto note = write_pictures(
        folder, count, fps,
        [&](int64_t k) {
            const auto& shot = shots[static_cast<size_t>(k)];
            return draw(avatar.surfels(shot.camera, shot.pose), shot.camera);
        },
        [&](int64_t done) { progress.show(done); });
    if (!note.empty()) fmt::print("note: {}\n", note);
}

int run_program(const Arguments& arguments) {
    if (!(arguments.scale >= 0.05 && arguments.scale <= 16))  // NaN, too
        throw Error(
            fmt::format("--scale: expected a number from 0.05 to 16, got {}", arguments.scale));
    const bool is_run = is_there(arguments.avatar) && fs::is_directory(arguments.avatar);
    const auto run = is_run ? RunFolder::open(arguments.avatar) : RunFolder{};
    const auto avatar =
        open_avatar(is_run ? run.avatar() : fs::path(arguments.avatar), arguments.keys);
    const fs::path out = !arguments.out.empty() ? fs::path(arguments.out)
                         : is_run               ? run.render()
                                                : fs::path(arguments.avatar + "_render");
    double fps = 24;
    std::string name = "orbit";
    std::vector<Shot> shots;
    if (arguments.motion.empty()) {
        shots = turntable(avatar, arguments.count);
    } else {
        const auto motion = read_motion(arguments.motion, *avatar.body,
                                        {.person = arguments.person, .mhr_folder = arguments.mhr});
        fmt::print("{}\n", motion.description);
        for (const auto& warning : motion.warnings) fmt::print("warning: {}\n", warning);
        fps = motion.fps / static_cast<double>(arguments.stride);
        const auto path = fs::path(arguments.motion).lexically_normal();
        name = (path.has_filename() ? path : path.parent_path()).stem().string();
        if (name == "orbit") name += "_motion";  // that is the turntable's folder
        shots = follow(avatar, motion, arguments.stride, arguments.frames);
    }
    for (auto& shot : shots) shot.camera = shot.camera.scaled(arguments.scale);
    draw_sequence(avatar, out / name, shots, fps);
    fmt::print("{} pictures of each modality in {}\n", shots.size(), (out / name).string());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    keep_freed_memory();
    CLI::App app(
        "Draws a trained avatar, full or baked, in every modality: PNG sequences and a video. An "
        "avatar file needs "
        "nothing beside it; of a run, RUN/avatar.safetensors is drawn.");
    Arguments a;
    app.add_option("avatar", a.avatar, "an avatar file, or the folder of a run")->required();
    app.add_option("keys", a.keys, "train.device=…, render.low_pass=…");
    app.add_option("--out", a.out,
                   "folder for the pictures (default: RUN/render, or FILE_render beside the file)");
    auto* orbit = app.add_option("--orbit", a.count, "views around the first training pose")
                      ->check(CLI::Range(1, 10000));
    auto* motion =
        app.add_option("--motion", a.motion,
                       "poses to follow: a fit (ROMP, WHAM, 4D-Humans, GVHMR, EasyMocap, SAM 3D "
                       "Body, …), AMASS, AIST++, BVH, poses.npz, or a folder of one file per frame")
            ->check(CLI::ExistingPath)
            ->excludes(orbit);
    app.add_option(
           "--person", a.person,
           "which person of the motion, by its number there (default: the one seen longest)")
        ->check(CLI::NonNegativeNumber)
        ->needs(motion);
    app.add_option("--mhr", a.mhr,
                   "folder of mhr2smpl_mapping.npz and mhr_lod1_mesh.ply, for SAM 3D Body's files "
                   "(default: beside them)")
        ->check(CLI::ExistingDirectory)
        ->needs(motion);
    app.add_option("--stride", a.stride, "take every so many poses of the motion")
        ->check(CLI::Range(1, 1000000));
    app.add_option("--frames", a.frames, "draw at most so many")->check(CLI::Range(1, 1000000));
    app.add_option("--scale", a.scale,
                   "resolution, times that of the training pictures: 0.05 to 16");
    CLI11_PARSE(app, argc, argv);
    return guarded([&] { return run_program(a); });
}
