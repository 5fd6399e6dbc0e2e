#pragma once
/// The programs as a user runs them, on a small capture.
#include <fmgs/core/body_model.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <iterator>

#include "support/test.h"

namespace fmgs::test {

struct Outcome {
    int code;
    std::string text;  ///< stdout and stderr
};

inline Outcome shell(const std::string& command) {
    FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    Outcome out{-1, {}};
    char buffer[4096];
    while (const size_t n = fread(buffer, 1, sizeof buffer, pipe)) out.text.append(buffer, n);
    const int status = pclose(pipe);
    out.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return out;
}

/// The command line of a program of this build with its arguments.
inline std::string program(const std::string& arguments) {
    return FMGS_BINARY_DIR "/bin/" + arguments;
}

/// `before`: a command that runs the program.
inline Outcome run(const std::string& arguments, const std::string& before = {}) {
    // Threads that wait without spinning: the tests share the machine with others.
    return shell("OMP_WAIT_POLICY=passive " + before + program(arguments));
}

inline std::string bytes(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    REQUIRE(in.good());
    return {std::istreambuf_iterator<char>(in), {}};
}

/// A body of 2,000 vertices, so that a run takes seconds; made once in a program.
inline const std::filesystem::path& coarse_body() {
    static const TemporaryFolder folder;
    static const auto file = folder.path / "body.npz";
    if (!std::filesystem::exists(file)) write_body(file, procedural_body({.cell = 0.035}));
    return file;
}

/// A capture of 6 frames at 64², made once in a program.
inline const std::filesystem::path& capture() {
    static const TemporaryFolder folder;
    static const std::filesystem::path path = [] {
        const auto made =
            run("make_synthetic " + (folder.path / "capture").string() +
                " --size 64 --train-frames 6 --test-frames 2 --test-views 1 --novel-frames 1"
                " --subdivisions 0 --samples 1 --body " +
                coarse_body().string());
        INFO(made.text);
        REQUIRE(made.code == 0);
        return folder.path / "capture";
    }();
    return path;
}

/// Small volumes and no pre-fit: a run takes seconds.
inline std::string train(const std::filesystem::path& output, const std::string& more,
                         const std::filesystem::path& data = {}) {
    return "train data.root=" + (data.empty() ? capture() : data).string() +
           " output=" + output.string() +
           " avatar.subdivisions=0 avatar.skinning.prefit_steps=2 avatar.skinning.prefit_points=256"
           " avatar.skinning.volume.log2_hashmap_size=10"
           " avatar.geometry.volume.log2_hashmap_size=10 "
           "avatar.appearance.volume.log2_hashmap_size=10"
           " modalities.semantic.volume.log2_hashmap_size=10 train.sheet_every=1000 "
           "train.log_every=1 " +
           more;
}

inline std::string model(const std::filesystem::path& folder, int64_t step) {
    for (const auto& entry : std::filesystem::directory_iterator(folder / "checkpoints")) {
        if (std::stoll(entry.path().filename().string()) == step)
            return bytes(entry.path() / "model.safetensors");
    }
    FAIL("no checkpoint of step " << step << " in " << folder);
    return {};
}

inline void copy_capture(const std::filesystem::path& to) {
    std::filesystem::copy(capture(), to, std::filesystem::copy_options::recursive);
}

}  // namespace fmgs::test
