// Draws a trained avatar:
//   render RUN|FILE.safetensors [--orbit N | --motion FILE | --rest | --drive FOLDER] [--camera
//   FILE]
//          [key=value…]
#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/io/files.h>
#include <fmgs/run/map_values.h>
#include <fmgs/run/picture_sequence.h>
#include <fmgs/run/pose_reading.h>
#include <fmgs/run/process.h>
#include <fmgs/run/program.h>
#include <fmgs/run/progress.h>
#include <fmgs/run/shots.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

namespace {

namespace fs = std::filesystem;
using namespace fmgs;

struct Arguments {
    std::string avatar, out, size, light, encoder;
    CaptureOptions drive;
    std::vector<std::string> keys;
    SequenceOptions sequence;
    PictureOptions pictures;
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

Drawable open_avatar(const fs::path& file, const std::vector<std::string>& keys,
                     const fs::path& light) {
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
    auto avatar = load_drawable(file, device_of(options.train.device), light);
    options.render.low_pass = avatar.scene.camera.low_pass;
    config.read(options);
    avatar.scene.camera.low_pass = options.render.low_pass;
    return avatar;
}

/// Every modality of every picture, and normals of the depth.
void draw_sequence(const Drawable& avatar, const Sequence& sequence, const fs::path& folder,
                   PictureOptions options) {
    const auto count = static_cast<int64_t>(sequence.shots.size());
    Progress progress(std::cerr, isatty(STDERR_FILENO) != 0, count);
    options.fps = sequence.fps;
    const auto note = write_pictures(
        folder, count,
        [&](int64_t k) {
            const auto& [camera, pose, turn] = sequence.shots[static_cast<size_t>(k)];
            if (avatar.turn_light) avatar.turn_light(turn);
            return with_depth_normal(draw(avatar.surfels(camera, pose), camera), camera);
        },
        [&](int64_t done) { progress.show(done); }, options);
    if (!note.empty()) say(fmt::format("note: {}\n", note));
}

/// Poses read off new pictures by the encoder that is named, or else the run's.
Sequence drive(const Arguments& arguments, const Drawable& avatar, const fs::path& trained) {
    const fs::path file = arguments.encoder.empty() ? trained : fs::path(arguments.encoder);
    if (file.empty() || !is_there(file))
        throw Error(fmt::format(
            "--drive: {}; a run with pose.source=encoder leaves pose_encoder.safetensors, which "
            "--encoder FILE names",
            file.empty() ? "an avatar file has no encoder" : file.string() + " does not exist"));
    const auto encoder = load_pose_encoder(file, avatar.body->joint_count());
    auto data = arguments.drive;
    if (data.body.empty()) data.body = (fs::path(data.root) / "body.npz").string();
    return driven_sequence(avatar, encoder, data, arguments.sequence);
}

int run_program(Arguments arguments) {
    if (!arguments.size.empty()) arguments.sequence.size = PictureSize::of(arguments.size);
    const bool is_run = is_there(arguments.avatar) && fs::is_directory(arguments.avatar);
    const auto run = is_run ? RunFolder::open(arguments.avatar) : RunFolder{};
    const auto avatar = open_avatar(is_run ? run.avatar() : fs::path(arguments.avatar),
                                    arguments.keys, arguments.light);
    const fs::path out = !arguments.out.empty() ? fs::path(arguments.out)
                         : is_run               ? run.render()
                                                : fs::path(arguments.avatar + "_render");
    const auto sequence = arguments.drive.root.empty()
                              ? plan_sequence(avatar, arguments.sequence)
                              : drive(arguments, avatar, is_run ? run.pose_encoder() : fs::path());
    for (const auto& note : sequence.notes) say(note + "\n");
    const auto folder = out / sequence.name;
    draw_sequence(avatar, sequence, folder, arguments.pictures);
    say(fmt::format("{} pictures of each modality in {}\n", sequence.shots.size(),
                    folder.string()));
    return 0;
}

/// The light of an avatar of materials.
void add_light_options(CLI::App& app, Arguments& a) {
    app.add_option(
           "--light", a.light,
           "a panorama (Radiance .hdr) that lights the person, upright behind them, instead "
           "of the light that was learned")
        ->check(CLI::ExistingFile);
    app.add_option("--rotate-light", a.sequence.rotate_light,
                   "turn the light once around the person in so many pictures; without --orbit, "
                   "--motion or --camera the rest stands still")
        ->check(CLI::Range(1, 10000))
        ->excludes(app.get_option("--drive"));
}

/// What is drawn: poses and cameras.
void add_sequence_options(CLI::App& app, Arguments& a) {
    auto& s = a.sequence;
    auto* orbit = app.add_option("--orbit", s.orbit, "views around the person (default: 48)")
                      ->check(CLI::Range(1, 10000));
    auto* motion =
        app.add_option("--motion", s.motion,
                       "poses to follow: a fit (ROMP, WHAM, 4D-Humans, GVHMR, EasyMocap, SAM 3D "
                       "Body, …), AMASS, AIST++, BVH, poses.npz, or a folder of one file per frame "
                       "(default: the first training pose)")
            ->check(CLI::ExistingPath)
            ->excludes(orbit);
    auto* rest = app.add_flag("--rest", s.rest, "the canonical pose instead: arms and legs spread")
                     ->excludes(motion);
    app.add_option(
           "--person", s.reading.person,
           "which person of the motion, by its number there (default: the one seen longest)")
        ->check(CLI::NonNegativeNumber)
        ->needs(motion);
    app.add_option("--mhr", s.reading.mhr_folder,
                   "folder of mhr2smpl_mapping.npz and mhr_lod1_mesh.ply, for SAM 3D Body's files "
                   "(default: beside them)")
        ->check(CLI::ExistingDirectory)
        ->needs(motion);
    auto* camera =
        app.add_option("--camera", s.camera,
                       "cameras, the k-th for the k-th pose: a camera path or transforms.json of "
                       "nerfstudio, cameras.npz, or an avatar file, for the camera that it was "
                       "seen with (default: this avatar's own)")
            ->check(CLI::ExistingPath)
            ->excludes(orbit);
    app.add_option("--view", s.view, "the only one of these, for all poses, counted from 0")
        ->check(CLI::NonNegativeNumber)
        ->needs(camera);
    auto* drive =
        app.add_option("--drive", a.drive.root,
                       "a capture whose pictures drive the avatar: the poses fitted to them, as an "
                       "encoder corrects them (pose.source=encoder)")
            ->check(CLI::ExistingDirectory)
            ->excludes(orbit)
            ->excludes(motion)
            ->excludes(rest)
            ->excludes(camera);
    app.add_option("--encoder", a.encoder, "its encoder (default: RUN/pose_encoder.safetensors)")
        ->check(CLI::ExistingFile)
        ->needs(drive);
    app.add_option("--drive-body", a.drive.body, "its body file (default: body.npz in its folder)")
        ->check(CLI::ExistingFile)
        ->needs(drive);
    auto* stride = app.add_option("--stride", s.stride, "draw every so many pictures of all")
                       ->check(CLI::Range(1, 1000000));
    app.add_option("--frames", s.frames, "draw at most so many")->check(CLI::Range(1, 1000000));
    app.add_option("--fps", s.fps,
                   "pictures a second, 1 to 1000; a motion keeps its speed (default: the camera "
                   "path's, else the motion's, else 24)")
        ->excludes(stride);
}

}  // namespace

int main(int argc, char** argv) {
    keep_freed_memory();
    CLI::App app(
        "Draws a trained avatar, full or baked, in every modality: PNG sequences, a sheet and a "
        "video. An avatar file needs nothing beside it; of a run, RUN/avatar.safetensors is "
        "drawn.");
    Arguments a;
    app.add_option("avatar", a.avatar, "an avatar file, or the folder of a run")->required();
    app.add_option("keys", a.keys, "train.device=…, render.low_pass=…");
    app.add_option("--out", a.out,
                   "folder for the pictures (default: RUN/render, or FILE_render beside the file)");
    add_sequence_options(app, a);
    add_light_options(app, a);
    app.add_option("--size", a.size,
                   "pixels: N for the longer side, or WxH; 16 to 8192 (default: as the cameras "
                   "have it)");
    app.add_flag("--transparent", a.pictures.transparent,
                 "pictures with straight alpha instead of on black");
    app.add_option("--values", a.pictures.values,
                   "numbers beside the pictures, with commas in between: depth_mm (PNG of 16 bits, "
                   "millimetres), depth_m, normal_xyz (.npy, float32)")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(CLI::IsMember(map_value_names()));
    CLI11_PARSE(app, argc, argv);
    return guarded([&] { return run_program(a); });
}
