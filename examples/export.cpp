// Takes an avatar out:  export AVATAR|RUN --ply FILE | --glb FILE | … [--motion FILE]
#include <fmgs/avatar_file.h>
#include <fmgs/bake.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/amass_file.h>
#include <fmgs/data/gltf/splat_glb.h>
#include <fmgs/run/export.h>
#include <fmgs/run/player.h>
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
    std::string avatar, motion, mhr, up = "-y";
    std::string ply, ply_sequence, glb, splat_glb, poses, labels, html;
    int64_t person = -1, stride = 1, frame = -1;
    BakeOptions bake = {};
    bool plain = false, no_scale2 = false;

    bool any_output() const {
        return !(ply.empty() && ply_sequence.empty() && glb.empty() && splat_glb.empty() &&
                 poses.empty() && labels.empty() && html.empty());
    }
};

bool is_terminal() { return isatty(STDERR_FILENO) != 0; }

/// The avatar file that the argument names, itself or that of a run.
fs::path avatar_file(const std::string& name) {
    if (is_there(name) && fs::is_directory(name)) return RunFolder::open(name).avatar();
    return name;
}

/// The avatar of a file with networks, baked over its training poses.
SavedBaked baked(const SavedAvatar& saved, BakeOptions options) {
    const auto frames = static_cast<int64_t>(saved.scene.frames.size());
    const int64_t poses = std::min(frames, options.poses);
    options.components = std::min(options.components, poses - 1);
    say(
        fmt::format("the avatar has networks: it is baked first, with {} components (`bake` does "
                    "that once and says what it costs)\n",
                    options.components));
    Progress progress(std::cerr, is_terminal(), poses);
    return {bake(saved.avatar, saved.scene, options,
                 [&](int64_t done, int64_t) { progress.show(done); }),
            saved.scene};
}

/// What the poses of an output come from.
struct Source {
    const SavedBaked& saved;
    const std::optional<Motion>& motion;
    const Arguments& arguments;

    ExportPoses poses(const std::string& up, int64_t stride) const {
        const auto* from = motion ? &*motion : nullptr;
        return up == "capture" ? capture_poses(saved, from, stride)
                               : export_poses(saved, from, stride, ExportAxes::of(up));
    }
    /// Of --frame, else the canonical ones.
    PosedSurfels surfels(const std::string& up) const {
        if (arguments.frame < 0)
            return canonical_surfels(saved.avatar, ExportAxes::of(up == "capture" ? "y" : up));
        const auto all = poses(up, 1).poses;
        const torch::NoGradGuard guard;
        return saved.avatar->forward(all[static_cast<size_t>(arguments.frame)]);
    }
};

void write_sequence(const Source& source, const SplatFileOptions& options) {
    const auto& a = source.arguments;
    const auto poses = source.poses(a.up, a.stride);
    {
        Progress progress(std::cerr, is_terminal(), std::ssize(poses.poses));
        write_splat_sequence(a.ply_sequence, source.saved.avatar, poses, options,
                             [&](int64_t done) { progress.show(done); });
    }
    say(fmt::format("{}: {} files, {:g} a second\n", a.ply_sequence, poses.poses.size(),
                    poses.fps));
}

constexpr const char* kNote =
    "The mesh, its skeleton and its skinning weights come from the body model that the avatar was "
    "trained with. Where that is SMPL or one of its kind, its licence says who may have them.";

void write_mesh(const Source& source) {
    const auto& a = source.arguments;
    auto mesh = skinned_mesh(source.saved.avatar,
                             source.motion ? source.poses("y", a.stride) : ExportPoses{});
    mesh.note = kNote;
    write_skinned_glb(a.glb, mesh);
    say(fmt::format(
        "{}: {} faces, {} joints, {}\n", a.glb, mesh.mesh.faces.size(0), mesh.names.size(),
        mesh.frames.defined() ? fmt::format("{} frames", mesh.frames.size(0)) : "no motion"));
}

void write_page(const Source& source) {
    const auto& a = source.arguments;
    const auto poses = source.poses("capture", a.stride);
    const auto page = player_page(source.saved.avatar, source.saved.scene, {poses.poses, poses.fps},
                                  fs::path(a.html).stem().string());
    write_whole(a.html, page);
    say(fmt::format("{}: {} surfels, {} poses, {:.1f} MB; a browser opens it\n", a.html,
                    source.saved.avatar->size(), poses.poses.size(),
                    1e-6 * static_cast<double>(page.size())));
}

void write_all(const Source& source) {
    const auto& a = source.arguments;
    const SplatFileOptions options{.comment = !a.plain, .third_scale = !a.no_scale2};
    if (!a.ply.empty()) {
        const auto surfels = source.surfels(a.up);
        write_splats(a.ply, surfels, options);
        say(fmt::format("{}: {} surfels\n", a.ply, surfels.center.size(0)));
    }
    if (!a.splat_glb.empty()) {
        write_splat_glb(a.splat_glb, source.surfels("y"));
        say(fmt::format("{}: {} surfels\n", a.splat_glb, source.saved.avatar->size()));
    }
    if (!a.ply_sequence.empty()) write_sequence(source, options);
    if (!a.glb.empty()) write_mesh(source);
    if (!a.poses.empty()) {
        const auto poses = source.poses("z", a.stride);
        write_amass(a.poses, poses.poses, source.saved.avatar->body()->betas(), poses.fps);
        say(fmt::format("{}: {} poses, z up; the gender in it is not known\n", a.poses,
                        poses.poses.size()));
    }
    if (!a.labels.empty()) {
        write_surfel_data(a.labels, source.saved);
        say(fmt::format("{}: bones and weights of {} surfels, {}\n", a.labels,
                        source.saved.avatar->size(),
                        source.saved.avatar->parts().labels.defined() ? "labels" : "no labels"));
    }
    if (!a.html.empty()) write_page(source);
    if (!a.glb.empty() || !a.labels.empty() || !a.html.empty())
        say(fmt::format("note: {}\n", kNote));
}

std::optional<Motion> motion_of(const Arguments& arguments, const Body& body) {
    if (arguments.motion.empty()) return {};
    auto motion = read_motion(arguments.motion, body,
                              {.person = arguments.person, .mhr_folder = arguments.mhr});
    say(motion.description + "\n");
    for (const auto& warning : motion.warnings) say(fmt::format("warning: {}\n", warning));
    return motion;
}

int run_program(const Arguments& arguments) {
    if (!arguments.any_output())
        throw Error(
            "export: expected at least one of --html, --ply, --ply-sequence, --glb, --splat-glb, "
            "--poses and --labels with the name of a file to write");
    if (!arguments.ply_sequence.empty()) check_sequence_folder(arguments.ply_sequence);
    const auto file = avatar_file(arguments.avatar);
    std::optional<SavedAvatar> full;
    SavedBaked saved;
    if (is_baked_file(file))
        saved = load_baked(file);
    else
        full = load_avatar(file);
    const Body& body =
        full ? *full->avatar->parts().body : static_cast<const Body&>(*saved.avatar->body());
    const auto motion = motion_of(arguments, body);
    const auto& scene = full ? full->scene : saved.scene;
    const int64_t frames = motion ? std::ssize(motion->poses) : std::ssize(scene.frames);
    if (arguments.frame >= frames)
        throw Error(fmt::format("--frame: expected a number from 0 to {}, got {}", frames - 1,
                                arguments.frame));
    if (full) saved = baked(*full, arguments.bake);
    write_all({saved, motion, arguments});
    return 0;
}

void add_outputs(CLI::App& app, Arguments& a) {
    app.add_option("--html", a.html,
                   "one page that plays the motion, else the training poses, in any browser");
    app.add_option("--ply", a.ply,
                   "Gaussians for viewers of splats (2DGS): canonical, or of --frame");
    app.add_option("--ply-sequence", a.ply_sequence,
                   "folder of frame0001.ply, …: every pose of the motion, else of training");
    app.add_option("--glb", a.glb,
                   "skinned mesh with a texture for Blender, Unity, …; --motion is its animation");
    app.add_option("--splat-glb", a.splat_glb,
                   "Gaussians as glTF (KHR_gaussian_splatting): canonical, or of --frame");
    app.add_option("--poses", a.poses,
                   "poses of the motion, else of training, as AMASS stores them (.npz)");
    app.add_option("--labels", a.labels, "bones, weights and labels of every surfel (.npz)");
}

}  // namespace

int main(int argc, char** argv) {
    keep_freed_memory();
    CLI::App app(
        "Writes an avatar as files that other programs open. An avatar with networks is baked on "
        "the way; one that `bake` made is quicker.");
    Arguments a;
    app.add_option("avatar", a.avatar, "an avatar file, baked or not, or the folder of a run")
        ->required();
    add_outputs(app, a);
    auto* motion = app.add_option("--motion", a.motion, "poses to follow, as for `render --motion`")
                       ->check(CLI::ExistingPath);
    app.add_option("--person", a.person, "which person of the motion")
        ->check(CLI::NonNegativeNumber)
        ->needs(motion);
    app.add_option("--mhr", a.mhr, "folder for SAM 3D Body's files, as for `render`")
        ->check(CLI::ExistingDirectory)
        ->needs(motion);
    app.add_option("--stride", a.stride, "take every so many poses")->check(CLI::Range(1, 1000000));
    app.add_option("--frame", a.frame,
                   "pose the surfels of --ply and --splat-glb as in this frame of the motion, else "
                   "of training, counted from 0")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--up", a.up,
                   "up in .ply files: -y (as viewers of splats expect; default), y, z, or capture: "
                   "the world of the capture, with its cameras")
        ->check(CLI::IsMember({"y", "-y", "z", "capture"}));
    app.add_flag("--plain", a.plain, "leave out of .ply files the comment that says 2DGS");
    app.add_flag("--no-scale2", a.no_scale2, "leave out of .ply files the third scale, as 2DGS");
    app.add_option("--components", a.bake.components,
                   "of the pose dependence of an avatar that is baked on the way (default: 8)")
        ->check(CLI::Range(0, 1000));
    CLI11_PARSE(app, argc, argv);
    return guarded([&] { return run_program(a); });
}
