// Makes an avatar without networks:  bake RUN|FILE.safetensors --out FILE [--components K]
#include <fmgs/bake.h>
#include <fmgs/baked_file.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/run/bake_errors.h>
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

/// Shows every step on a terminal, else ten of them.
class Shown {
  public:
    explicit Shown(int64_t total)
        : every_(terminal_ ? 1 : std::max<int64_t>(1, total / 10)),
          total_(total),
          progress_(std::cerr, terminal_, total) {}
    void at(int64_t done) {
        if (done % every_ == 0 || done == total_) progress_.show(done);
    }

  private:
    bool terminal_ = isatty(STDERR_FILENO) != 0;
    int64_t every_, total_;
    Progress progress_;
};

BakedAvatar baked(const SavedAvatar& saved, const BakeOptions& options) {
    Shown shown(std::min(options.poses, saved.scene.axis_angle.size(0)));
    return bake(saved.avatar, saved.scene, options, [&](int64_t done, int64_t) { shown.at(done); });
}

/// How far the baked avatar is from the full one and from the truth, on the held-out pictures.
std::string errors_text(Run& run, const BakedAvatar& avatar) {
    std::vector<std::string> splits;
    int64_t total = 0, done = 0;
    for (const auto& [name, frames] : run.capture.splits) {
        if (name == "train") continue;
        splits.push_back(name);
        total += static_cast<int64_t>(frames.size());
    }
    if (splits.empty()) return "note: no split is held out, so nothing was measured\n";
    Shown shown(total);
    const auto rows = bake_errors(run, avatar, splits, [&] { shown.at(++done); });
    return markdown_table(rows, {{"psnr", "psnr", 1, 2},
                                 {"psnr_person", "psnr_person", 1, 2},
                                 {"ssim", "ssim", 1, 4},
                                 {"lost", "dB lost", 1, 2},
                                 {"to_avatar", "psnr to the full avatar", 1, 2}});
}

int run_program(const std::string& source, const std::string& out,
                const std::vector<std::string>& keys, bool unprojected,
                const BakeOptions& options) {
    const bool is_run = is_there(source) && fs::is_directory(source);
    if (!is_run && !keys.empty())
        throw Error(
            fmt::format("{}: keys are those of a run, and {} is none", keys.front(), source));
    const auto folder = is_run ? RunFolder::open(source) : RunFolder{};
    const auto file = is_run ? folder.avatar() : fs::path(source);
    if (is_baked_file(file)) throw Error(fmt::format("{}: is baked already", file.string()));
    check_baked_place(out);
    std::optional<Run> run;
    if (is_run) {
        auto arguments = keys;
        arguments.insert(arguments.begin(), source);
        run = open_run(read_options(arguments), held_out_parts());
        load_latest(*run, folder);
    }
    const auto saved = load_avatar(file, run ? run->device : torch::Device(torch::kCPU));
    saved.avatar.ptr()->train(unprojected);
    const auto avatar = baked(saved, options);
    save_baked(out, avatar, saved.scene);
    say(fmt::format("{} surfels, {} components from {} poses: {}, {:.1f} MB\n", avatar->size(),
                    options.components, std::min(options.poses, saved.scene.axis_angle.size(0)),
                    out, 1e-6 * static_cast<double>(fs::file_size(out))));
    if (run) say(errors_text(*run, avatar));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    keep_freed_memory();
    CLI::App app(
        "Makes a baked avatar, without networks: surfels with four bones each, colour that is the "
        "same from everywhere, and a dependence on the pose that is linear. From a run, what it "
        "loses on the held-out pictures is printed.");
    std::string source, out;
    std::vector<std::string> keys;
    bool unprojected = false;
    BakeOptions options;
    app.add_option("avatar", source, "the folder of a run, or an avatar file")->required();
    app.add_option("keys", keys, "of a run: key=value…, as for evaluate");
    app.add_option("--out", out, "the file to write; an earlier baked avatar is replaced")
        ->required();
    app.add_option("--components", options.components, "components of the dependence on the pose")
        ->check(CLI::Range(0, 10000))
        ->capture_default_str();
    app.add_option("--poses", options.poses,
                   "most training poses that are looked at, evenly spread")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    app.add_option("--views", options.views, "cameras around each pose that look for its colours")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    app.add_option("--noise", options.noise,
                   "noise on each number of a pose against which the fit is steady")
        ->check(CLI::Range(0.0, 10.0))
        ->capture_default_str();
    app.add_flag("--unprojected", unprojected,
                 "bake an avatar with a pose projection as it is without it: what is baked is "
                 "linear in the pose");
    CLI11_PARSE(app, argc, argv);
    return guarded([&] { return run_program(source, out, keys, unprojected, options); });
}
