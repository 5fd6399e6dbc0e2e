// Draws a splat file:  view_ply FILE.ply [--camera FILE | --orbit N]
#include <fmgs/run/picture_sequence.h>
#include <fmgs/run/process.h>
#include <fmgs/run/program.h>
#include <fmgs/run/progress.h>
#include <fmgs/run/shots.h>
#include <fmgs/run/splat_views.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

namespace {

namespace fs = std::filesystem;
using namespace fmgs;

struct Arguments {
    std::string file, camera, out, up = "-y";
    int64_t count = 48, size = 512, view = -1;
    double low_pass = Camera{}.low_pass;
};

torch::Tensor axis(const std::string& name) {
    auto out = torch::zeros({3});
    out[name.back() - 'x'] = name.front() == '-' ? -1 : 1;
    return out;
}

CameraList cameras_of(const Arguments& arguments, const Splats& splats) {
    if (!arguments.camera.empty()) return view_cameras(arguments.camera, arguments.view);
    return {turntable(splats.surfels, axis(arguments.up), arguments.count, arguments.size)};
}

int run_program(const Arguments& arguments) {
    const fs::path file = arguments.file;
    const auto splats = read_splats(file);
    say(fmt::format("{}: {}\n", file.string(), splats.description));
    for (const auto& note : splats.notes) say(fmt::format("note: {}\n", note));
    auto list = cameras_of(arguments, splats);
    for (auto& camera : list.cameras) camera.low_pass = arguments.low_pass;
    const fs::path out = arguments.out.empty()
                             ? fs::path(file).replace_extension().string() + "_views"
                             : arguments.out;
    const auto count = static_cast<int64_t>(list.cameras.size());
    {
        Progress progress(std::cerr, isatty(STDERR_FILENO) != 0, count);
        const auto note = write_pictures(
            out, count,
            [&](int64_t k) { return draw(splats, list.cameras[static_cast<size_t>(k)]); },
            [&](int64_t done) { progress.show(done); }, {.fps = list.fps.value_or(24)});
        if (!note.empty()) say(fmt::format("note: {}\n", note));
    }
    say(fmt::format("{} pictures of each map in {}\n", count, out.string()));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    keep_freed_memory();
    CLI::App app(
        "Draws a splat file of 3DGS, 2DGS or `export` as surfels: colour, alpha, depth and normals "
        "as pictures, and a video.");
    Arguments a;
    app.add_option("file", a.file, "a .ply of Gaussians")->required();
    auto* camera =
        app.add_option("--camera", a.camera,
                       "cameras: cameras.npz, nerfstudio's transforms.json or camera path, or an "
                       "avatar file, for the camera that it was seen with");
    app.add_option("--view", a.view, "the only one of these to draw, counted from 0 (default: all)")
        ->check(CLI::NonNegativeNumber)
        ->needs(camera);
    app.add_option("--orbit", a.count, "views on a circle around the Gaussians")
        ->check(CLI::Range(1, 10000))
        ->excludes(camera);
    app.add_option("--up", a.up, "up in the file, about which the circle goes (default: -y)")
        ->check(CLI::IsMember({"x", "y", "z", "-x", "-y", "-z"}))
        ->excludes(camera);
    app.add_option("--size", a.size, "pixels of a side of these views")
        ->check(CLI::Range(16, 8192))
        ->excludes(camera);
    app.add_option("--low-pass", a.low_pass,
                   "σ of the least that a surfel spreads over, pixels (default: 0.35; 2DGS trains "
                   "with 0.7071)")
        ->check(CLI::Range(0.01, 100.0));
    app.add_option("--out", a.out, "folder for the pictures (default: FILE_views beside the file)");
    CLI11_PARSE(app, argc, argv);
    return guarded([&] { return run_program(a); });
}
