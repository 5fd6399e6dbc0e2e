// Draws a trained avatar:  render RUN|FILE.safetensors [--orbit N | --motion FILE] [key=value…]
#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/io/aside_folder.h>
#include <fmgs/core/io/files.h>
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
#include <algorithm>
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

/// Error unless the folder is one that an earlier render wrote, which a new one may replace.
void check_replaceable(const fs::path& folder) {
    if (!is_there(folder)) return;
    const auto refuse = [&](const fs::path& what) {
        throw Error(
            fmt::format("{}: expected a new folder or one of an earlier render, which is replaced; "
                        "it holds {}; "
                        "give another --out",
                        folder.string(), what.string()));
    };
    const auto numbered = [](const fs::path& file) {
        const auto stem = file.stem().string();
        return file.extension() == ".png" &&
               std::all_of(stem.begin(), stem.end(), [](char c) { return c >= '0' && c <= '9'; });
    };
    if (!fs::is_directory(folder)) refuse("a file");
    for (const auto& map : fs::directory_iterator(folder)) {
        if (!map.is_directory()) refuse(map.path().filename());
        for (const auto& picture : fs::directory_iterator(map)) {
            if (!numbered(picture.path())) refuse(fs::relative(picture.path(), folder));
        }
    }
}

/// Puts pictures and video in their places; a video of an earlier render goes with its pictures.
void put_in_place(AsideFolder& aside, const fs::path& folder) {
    std::vector<std::pair<fs::path, fs::path>> videos;  // beside the pictures → where it belongs
    for (const char* extension : {".mp4", ".avi"}) {
        videos.emplace_back(aside.path().string() + extension, folder.string() + extension);
        const auto made = aside.path() / (std::string("video") + extension);
        if (fs::exists(made)) fs::rename(made, videos.back().first);
    }
    aside.put_in_place();
    for (const auto& [made, place] : videos)
        fs::exists(made) ? fs::rename(made, place) : void(fs::remove(place));
}

/// FOLDER/NAME/MODALITY/000000.png … and FOLDER/NAME.mp4 with all modalities side by side: whole,
/// or as they were before.
void draw_sequence(const Drawable& avatar, const fs::path& folder, const std::vector<Shot>& shots,
                   double fps) {
    check_replaceable(folder);
    AsideFolder aside(folder);
    std::unique_ptr<VideoWriter> video;
    Progress progress(std::cerr, isatty(STDERR_FILENO) != 0, static_cast<int64_t>(shots.size()));
    for (size_t k = 0; k < shots.size(); ++k) {
        std::vector<torch::Tensor> row;
        const auto& [camera, pose] = shots[k];
        const auto maps = draw(avatar.surfels(camera, pose), camera);
        for (const auto& [name, map] : maps) {
            const auto picture = colorize(name, map, maps.at("alpha"));
            fs::create_directories(aside.path() / name);
            write_color(aside.path() / name / fmt::format("{:06d}.png", k), picture);
            row.push_back(picture);
        }
        const auto all = beside(row);
        if (!video)
            video = std::make_unique<VideoWriter>(aside.path() / "video.mp4", all.size(2),
                                                  all.size(1), fps);
        video->add(all);
        progress.show(static_cast<int64_t>(k) + 1);
    }
    if (video && video->good()) {
        video->finish();
    } else if (fps < VideoWriter::kLeastRate) {
        fmt::print(
            "note: no video: {:g} pictures a second, and a video has at least {:g}; use a "
            "smaller --stride\n",
            fps, VideoWriter::kLeastRate);
    } else {
        fmt::print("note: no video: this OpenCV has no encoder for one\n");
    }
    video.reset();
    put_in_place(aside, folder);
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
