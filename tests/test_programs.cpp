// The programs as a user runs them, on a small capture: whole runs, resuming, bad input.
#include <fmgs/core/npz.h>
#include <fmgs/core/random.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <iterator>

#include "support/test.h"

using namespace fmgs;
namespace fs = std::filesystem;

namespace {

struct Outcome {
    int code;
    std::string text;  ///< stdout and stderr
};

/// `before`: a command that runs the program.
Outcome run(const std::string& arguments, const std::string& before = {}) {
    // Threads that wait without spinning: the tests share the machine with others.
    const std::string command = "OMP_WAIT_POLICY=passive " + before + FMGS_BINARY_DIR + "/bin/" +
                                arguments + " 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    Outcome out{-1, {}};
    char buffer[4096];
    while (const size_t n = fread(buffer, 1, sizeof buffer, pipe)) out.text.append(buffer, n);
    const int status = pclose(pipe);
    out.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return out;
}

std::string bytes(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    REQUIRE(in.good());
    return {std::istreambuf_iterator<char>(in), {}};
}

/// A capture of 6 frames at 64², made once for this file.
const fs::path& capture() {
    static const test::TemporaryFolder folder;
    static const fs::path path = [] {
        const auto made =
            run("make_synthetic " + (folder.path / "capture").string() +
                " --size 64 --train-frames 6 --test-frames 2 --test-views 1 --novel-frames 1"
                " --subdivisions 0 --samples 1");
        INFO(made.text);
        REQUIRE(made.code == 0);
        return folder.path / "capture";
    }();
    return path;
}

/// Small volumes and no pre-fit: a run takes seconds.
std::string train(const fs::path& output, const std::string& more, const fs::path& data = {}) {
    return "train data.root=" + (data.empty() ? capture() : data).string() +
           " output=" + output.string() +
           " avatar.subdivisions=0 avatar.skinning.prefit_steps=2 avatar.skinning.prefit_points=256"
           " avatar.geometry.volume.log2_entries=10 avatar.appearance.volume.log2_entries=10"
           " modalities.semantic.volume.log2_entries=10 train.sheet_every=1000 train.log_every=1 " +
           more;
}

std::string model(const fs::path& folder, int64_t step) {
    for (const auto& entry : fs::directory_iterator(folder / "checkpoints")) {
        if (std::stoll(entry.path().filename().string()) == step)
            return bytes(entry.path() / "model.safetensors");
    }
    FAIL("no checkpoint of step " << step << " in " << folder);
    return {};
}

void copy_capture(const fs::path& to) { fs::copy(capture(), to, fs::copy_options::recursive); }

}  // namespace

TEST_CASE("a run that was interrupted and resumed ends with the same bits", "[programs]") {
    const test::TemporaryFolder folder;
    const auto whole = folder.path / "whole", parts = folder.path / "parts";
    auto done = run(train(whole, "train.steps=200 train.checkpoint_every=100"));
    INFO(done.text);
    REQUIRE(done.code == 0);
    // Stops at 100 of 200: the later checkpoints are taken away, as if the process had been killed
    // before them.
    fs::copy(whole, parts, fs::copy_options::recursive);
    for (const auto& entry : fs::directory_iterator(parts / "checkpoints")) {
        if (std::stoll(entry.path().filename().string()) == 200) fs::remove_all(entry.path());
    }
    done = run("train " + parts.string() + " output=" + parts.string());
    INFO(done.text);
    REQUIRE(done.code == 0);
    REQUIRE(model(whole, 200) == model(parts, 200));
    REQUIRE(bytes(whole / "metrics.csv") == bytes(parts / "metrics.csv"));
    REQUIRE(model(whole, 100) != model(whole, 200));
}

TEST_CASE("a run that is killed at random moments ends with the same bits", "[programs]") {
    const test::TemporaryFolder folder;
    const auto whole = folder.path / "whole", killed = folder.path / "killed";
    const std::string steps = "train.steps=60 train.checkpoint_every=3 train.sheet_every=20";
    REQUIRE(run(train(whole, steps)).code == 0);
    // From before the first checkpoint to the end of the run, wherever the machine's speed puts it.
    int kills = 0, resumed = 0;
    for (int k = 0; k < 10; ++k) {
        const double seconds = 0.2 + 1.2 * torch::rand({}, Random{7, k}.generator("kill"),
                                                       torch::kDouble).item<double>();
        const bool begun = fs::exists(killed / "checkpoints") && !fs::is_empty(killed / "checkpoints");
        const auto cut = run(begun ? "train " + killed.string() : train(killed, steps),
                             fmt::format("timeout -s KILL {:.2f} ", seconds));
        INFO(cut.text);
        REQUIRE((cut.code == 137 || cut.code == 0));
        kills += cut.code == 137;
        resumed += begun && cut.text.find("resuming at step") != std::string::npos;
    }
    REQUIRE(kills >= 1);
    REQUIRE(resumed >= 1);
    const auto done = run("train " + killed.string());
    INFO(done.text);
    REQUIRE(done.code == 0);
    REQUIRE(model(whole, 60) == model(killed, 60));
    REQUIRE(bytes(whole / "metrics.csv") == bytes(killed / "metrics.csv"));
}

TEST_CASE("training never looks at the exact maps", "[programs]") {
    const test::TemporaryFolder folder;
    const auto without = folder.path / "without", wrong = folder.path / "wrong";
    copy_capture(without);
    fs::remove_all(without / "gt");
    copy_capture(wrong);
    for (const auto* kind : {"depth", "normal", "label"}) {  // every frame gets the first one's map
        const std::vector<fs::directory_entry> maps{
            fs::directory_iterator(wrong / "gt" / kind), {}};
        REQUIRE(maps.size() > 1);
        for (const auto& map : maps) {
            if (map.path() == maps.front().path()) continue;
            fs::copy_file(maps.front(), map, fs::copy_options::overwrite_existing);
        }
    }
    for (const auto& [output, data] :
         {std::pair{folder.path / "a", capture()}, std::pair{folder.path / "b", without},
          std::pair{folder.path / "c", wrong}}) {
        const auto done = run(train(output, "train.steps=3", data));
        INFO(done.text);
        REQUIRE(done.code == 0);
    }
    REQUIRE(model(folder.path / "a", 3) == model(folder.path / "b", 3));
    REQUIRE(model(folder.path / "a", 3) == model(folder.path / "c", 3));
}

TEST_CASE("a trained run is evaluated and drawn", "[programs]") {
    const test::TemporaryFolder folder;
    const auto output = folder.path / "run";
    REQUIRE(run(train(output, "train.steps=2")).code == 0);
    const auto evaluated = run("evaluate " + output.string());
    INFO(evaluated.text);
    REQUIRE(evaluated.code == 0);
    for (const auto* file : {"table.md", "metrics.json", "test.csv", "test_view.csv",
                             "novel_motion.csv", "test.png"}) {
        INFO(file);
        REQUIRE(fs::exists(output / "eval" / file));
    }
    const auto drawn = run("render " + output.string() + " --orbit 2");
    INFO(drawn.text);
    REQUIRE(drawn.code == 0);
    for (const auto* map : {"color", "alpha", "depth", "normal", "semantic"}) {
        REQUIRE(fs::exists(output / "render/orbit" / map / "000001.png"));
    }
}

TEST_CASE("every routing trains", "[programs]") {
    const test::TemporaryFolder folder;
    for (const std::string routing : {"off", "literal"}) {
        const auto done =
            run(train(folder.path / routing, "train.steps=2 routing=\"'" + routing + "'\""));
        INFO(done.text);
        REQUIRE(done.code == 0);
    }
}

TEST_CASE("a modality is added by configuration alone", "[programs]") {
    const test::TemporaryFolder folder;
    const auto data = folder.path / "capture";
    copy_capture(data);
    fs::create_directories(data / "priors/dino");
    for (const auto& image : fs::directory_iterator(data / "images")) {
        const auto values =
            torch::rand({3, 64, 64}, Random{1}.generator(image.path().stem().string()));
        write_npy(data / "priors/dino" / (image.path().stem().string() + ".npy"),
                  npy_array(values));
    }
    std::ofstream(folder.path / "dino.yaml")
        << "modalities: {dino: {channels: 3, hidden: 8, volume: {log2_entries: 10}}}\n"
           "losses: {dino: {type: cosine, weight: 0.1, reaches: [dino]}}\n";
    const auto output = folder.path / "run";
    const auto done =
        run(train(output, "train.steps=2 " + (folder.path / "dino.yaml").string(), data));
    INFO(done.text);
    REQUIRE(done.code == 0);
    REQUIRE(bytes(output / "metrics.csv").find("dino") != std::string::npos);
    const auto drawn = run("render " + output.string() + " --orbit 1");
    INFO(drawn.text);
    REQUIRE(fs::exists(output / "render/orbit/dino/000000.png"));
}

TEST_CASE(
    "bad input gives one clear message, a failing exit code, and leaves earlier results alone",
    "[programs]") {
    const test::TemporaryFolder folder;
    const auto output = folder.path / "run";
    REQUIRE(run(train(output, "train.steps=1")).code == 0);
    const auto before = model(output, 1);

    struct Case {
        std::string arguments, words;
    };
    const auto broken = [&](const std::string& name,
                            const std::function<void(const fs::path&)>& damage) {
        const auto data = folder.path / name;
        copy_capture(data);
        damage(data);
        return train(folder.path / (name + "_run"), "train.steps=1", data);
    };
    const auto first = [](const fs::path& path) {
        std::set<fs::path> files;
        for (const auto& entry : fs::directory_iterator(path)) files.insert(entry.path());
        return *files.begin();
    };
    const std::vector<Case> cases = {
        {train(output, "train.steps=1"), "checkpoints"},
        {train(folder.path / "x", "trian.steps=1"), "train"},
        {train(folder.path / "x", "train.steps=many"), "train.steps"},
        {train(folder.path / "x", "losses.dpeth.weight=1"), "dpeth"},
        {train(folder.path / "x", "routing=coordinated"), "coordinated"},
        {"train " + (folder.path / "none.yaml").string(), "none.yaml"},
        {"evaluate " + (folder.path / "none").string(), "none"},
        {"evaluate " + output.string() + " nosuch", "nosuch"},
        {"evaluate " + output.string() + " avatar.geometry.hidden=64", "geometry"},
        {broken("no_prior", [&](const fs::path& d) { fs::remove(first(d / "priors/normal")); }),
         "normal"},
        {broken("corrupt_image",
                [&](const fs::path& d) { std::ofstream(first(d / "images")) << "no picture"; }),
         "images"},
        {broken("few_masks", [&](const fs::path& d) { fs::remove(first(d / "masks")); }), "mask"},
        {broken("no_body", [&](const fs::path& d) { fs::remove(d / "body.npz"); }), "data.body"},
        {broken("bad_body",
                [&](const fs::path& d) {
                    auto body = read_npz(d / "body.npz");
                    body.erase("weights");
                    write_npz(d / "body.npz", body);
                }),
         "weights"},
        {broken("bad_faces",
                [&](const fs::path& d) {
                    auto body = read_npz(d / "body.npz");
                    auto faces = body.at("f").tensor().to(torch::kLong);
                    faces[3][1] = 1000000;
                    body["f"] = npy_array(faces);
                    write_npz(d / "body.npz", body);
                }),
         "f"},
        {broken("nan_pose",
                [&](const fs::path& d) {
                    for (const auto& file : fs::directory_iterator(d / "poses")) {
                        auto poses = read_npz(file.path());
                        auto turns = poses.at("body_pose").tensor().clone();
                        turns[1][2] = NAN;
                        poses["body_pose"] = npy_array(turns);
                        write_npz(file.path(), poses);
                    }
                }),
         "body_pose"},
    };
    for (const auto& [arguments, words] : cases) {
        const auto outcome = run(arguments);
        INFO(arguments << "\n" << outcome.text);
        CHECK(outcome.code != 0);
        CHECK(outcome.code != -1);
        CHECK(outcome.text.find("error: ") != std::string::npos);
        CHECK(outcome.text.find(words) != std::string::npos);
    }
    REQUIRE(model(output, 1) == before);
    REQUIRE_FALSE(fs::exists(folder.path / "x"));
}
