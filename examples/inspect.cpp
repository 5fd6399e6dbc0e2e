// Shows how a capture is understood, before anything is trained:  inspect CAPTURE [key=value…]
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/image_io.h>
#include <fmgs/run/inspect.h>
#include <fmgs/run/program.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>

namespace {

namespace fs = std::filesystem;
using namespace fmgs;

int run_program(const std::string& capture, std::vector<std::string> keys,
                const std::string& folder, int64_t frames) {
    keys.insert(keys.begin(), "data.root=" + capture);
    auto options = read_options(keys);
    options.avatar.subdivisions = 0;  // no avatar is looked at
    const auto run = open_run(options, CaptureParts{});
    const auto found = inspect(run, frames);
    const fs::path out =
        folder.empty()
            ? fs::path(fs::path(capture).lexically_normal().filename().string() + "_inspected")
            : fs::path(folder);
    fs::create_directories(out);
    write_color(out / "sheet.png", found.sheet);
    write_whole(out / "inspect.json", found.json);
    write_obj(out / "template.obj", run.body->canonical());
    say(found.text);
    for (const auto* name : {"sheet.png", "inspect.json", "template.obj"})
        say((out / name).string() + "\n");
    return found.sound ? 0 : 2;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Says how a capture is understood, holds masks and priors against the posed body, and "
        "draws both: OUT/sheet.png, OUT/inspect.json; and the mesh that will carry the surfels, in "
        "the canonical pose: OUT/template.obj. Ends with 2 where `train` would refuse it.");
    std::string capture, out;
    std::vector<std::string> keys;
    int64_t frames = 4;
    app.add_option("capture", capture, "folder of a capture, in any layout that `train` reads")
        ->required();
    app.add_option("keys", keys, "key=value…, as for train: data.body=FILE data.downscale=2");
    app.add_option("--out", out, "folder for the results (default: NAME_inspected here)");
    app.add_option("--frames", frames, "frames of each split that are drawn")
        ->check(CLI::Range(1, 1000));
    CLI11_PARSE(app, argc, argv);
    return guarded([&] { return run_program(capture, keys, out, frames); });
}
