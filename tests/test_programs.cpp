// The programs as a user runs them, on a small capture: whole runs, resuming, bad input.
#include <fmgs/core/io/npz.h>
#include <fmgs/core/random.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <regex>

#include "support/programs.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

TEST_CASE("a run that was interrupted and resumed ends with the same bits", "[programs]") {
    const test::TemporaryFolder folder;
    const auto whole = folder.path / "whole", parts = folder.path / "parts";
    auto done = run(train(whole, "train.steps=40 train.checkpoint_every=20"));
    INFO(done.text);
    REQUIRE(done.code == 0);
    // Stops at 20 of 40: the later checkpoints are taken away, as if the process had been killed
    // before them.
    fs::copy(whole, parts, fs::copy_options::recursive);
    for (const auto& entry : fs::directory_iterator(parts / "checkpoints")) {
        if (std::stoll(entry.path().filename().string()) == 40) fs::remove_all(entry.path());
    }
    done = run("train " + parts.string() + " output=" + parts.string());
    INFO(done.text);
    REQUIRE(done.code == 0);
    REQUIRE(model(whole, 40) == model(parts, 40));
    REQUIRE(bytes(whole / "metrics.csv") == bytes(parts / "metrics.csv"));
    REQUIRE(model(whole, 20) != model(whole, 40));
}

TEST_CASE("a run that is killed at random moments ends with the same bits", "[programs]") {
    const test::TemporaryFolder folder;
    const auto whole = folder.path / "whole", killed = folder.path / "killed";
    const std::string steps = "train.steps=40 train.checkpoint_every=3 train.sheet_every=20";
    const auto arguments = train(whole, steps);
    const auto start = std::chrono::steady_clock::now();
    REQUIRE(run(arguments).code == 0);
    const std::chrono::duration<double> all = std::chrono::steady_clock::now() - start;
    // From before the first checkpoint to the end of the run, on a machine of any speed.
    int kills = 0, resumed = 0;
    for (int k = 0; k < 10; ++k) {
        const auto share = torch::rand({}, Random{7, k}.generator("kill"), torch::kDouble);
        const double seconds = (0.1 + 0.9 * share.item<double>()) * all.count();
        const bool begun =
            fs::exists(killed / "checkpoints") && !fs::is_empty(killed / "checkpoints");
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
    REQUIRE(model(whole, 40) == model(killed, 40));
    REQUIRE(bytes(whole / "metrics.csv") == bytes(killed / "metrics.csv"));
}

TEST_CASE("a full disk or a locked folder stops a run with the reason; the last checkpoint goes on",
          "[programs]") {
    const test::TemporaryFolder folder;
    const auto whole = folder.path / "whole", stopped = folder.path / "stopped";
    REQUIRE(run(train(whole,
                      "train.steps=2 train.checkpoint_every=1 "
                      "avatar.skinning.volume.log2_hashmap_size=16"))
                .code == 0);
    fs::copy(whole, stopped, fs::copy_options::recursive);
    const auto checkpoints = stopped / "checkpoints";
    fs::remove_all(checkpoints / "000002");

    const auto refused = [](const std::string& arguments, const std::string& before,
                            const std::vector<std::string>& words) {
        const auto outcome = run(arguments, before);
        INFO(before << arguments << "\n" << outcome.text);
        CHECK(outcome.code == 1);
        for (const auto& word : words) CHECK(outcome.text.find(word) != std::string::npos);
    };
    // No file may grow beyond `size`: the write that would fails in its middle, as on a full disk.
    const auto room = [](uintmax_t size) {
        return fmt::format("env --ignore-signal=XFSZ prlimit --fsize={} ", size);
    };
    const auto model_size = fs::file_size(checkpoints / "000001/model.safetensors");
    const std::string resume = "train " + stopped.string();
    const std::string unsaved = "error: the checkpoint of step 2 was not saved";
    const auto aside = checkpoints / ".unfinished-000002";
    refused(resume, room(model_size - 1),
            {unsaved, (aside / "model.safetensors").string(), "cannot write: File too large"});
    refused(resume, room(model_size + 1),
            {unsaved, (aside / "optimizer.safetensors").string(), "cannot write: File too large"});
    refused(resume, room(10), {"error: ", "metrics.csv", "cannot write: File too large"});
    // Permissions bind root, too, without the capability to override them.
    const std::string bound = geteuid() == 0 ? "setpriv --bounding-set=-dac_override " : "";
    fs::permissions(checkpoints, fs::perms(0555));
    refused(resume, bound, {unsaved, aside.string(), "Permission denied"});
    refused(train(checkpoints / "run", "train.steps=1"), bound,
            {"error: ", (checkpoints / "run").string(), "Permission denied"});
    fs::permissions(checkpoints, fs::perms(0755));

    const std::vector<fs::directory_entry> left{fs::directory_iterator(checkpoints), {}};
    REQUIRE(left.size() == 1);
    REQUIRE(model(stopped, 1) == model(whole, 1));
    const auto done = run(resume);
    INFO(done.text);
    REQUIRE(done.code == 0);
    REQUIRE(done.text.find("resuming at step 1") != std::string::npos);
    REQUIRE(model(stopped, 2) == model(whole, 2));
    REQUIRE(bytes(stopped / "metrics.csv") == bytes(whole / "metrics.csv"));
    for (const auto& entry : fs::recursive_directory_iterator(stopped))
        CHECK(entry.path().filename().string()[0] != '.');
}

TEST_CASE("training never looks at the exact maps", "[programs]") {
    const test::TemporaryFolder folder;
    const auto without = folder.path / "without", wrong = folder.path / "wrong";
    copy_capture(without);
    fs::remove_all(without / "gt");
    copy_capture(wrong);
    for (const auto* kind : {"depth", "normal", "label"}) {  // every frame gets the first one's map
        const std::vector<fs::directory_entry> maps{fs::directory_iterator(wrong / "gt" / kind),
                                                    {}};
        REQUIRE(maps.size() > 1);
        for (const auto& map : maps) {
            if (map.path() == maps.front().path()) continue;
            fs::copy_file(maps.front(), map, fs::copy_options::overwrite_existing);
        }
    }
    // Nor at what is held out.
    const auto damaged = folder.path / "damaged";
    copy_capture(damaged);
    for (const auto* held_out : {"gt", "test_view", "novel_motion"}) {
        for (const auto& entry : fs::recursive_directory_iterator(damaged / held_out))
            if (entry.is_regular_file()) std::ofstream(entry.path()) << "damaged";
    }
    for (const auto& [output, data] :
         {std::pair{folder.path / "a", capture()}, std::pair{folder.path / "b", without},
          std::pair{folder.path / "c", wrong}, std::pair{folder.path / "d", damaged}}) {
        const auto done = run(train(output, "train.steps=3", data));
        INFO(done.text);
        REQUIRE(done.code == 0);
    }
    REQUIRE(model(folder.path / "a", 3) == model(folder.path / "b", 3));
    REQUIRE(model(folder.path / "a", 3) == model(folder.path / "c", 3));
    REQUIRE(model(folder.path / "a", 3) == model(folder.path / "d", 3));
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
    for (const auto* map : {"color", "alpha", "depth", "normal", "depth_normal", "semantic"}) {
        REQUIRE(fs::exists(output / "render/orbit" / map / "000001.png"));
    }
    // One line per loss: a size where its gradient reaches, "-" where it is cut.
    const auto inspected = run("influence " + output.string() + " routing=strict");
    INFO(inspected.text);
    REQUIRE(inspected.code == 0);
    REQUIRE(std::regex_search(inspected.text, std::regex(R"(\nnormal +- +[1-9]\S+ +- +- )")));
    REQUIRE(std::regex_search(inspected.text, std::regex(R"(\nmask +[1-9]\S+ )")));
    REQUIRE(std::regex_search(inspected.text, std::regex(R"(\nsemantic( +-){6} +[1-9]\S+ +-)")));
    REQUIRE(fs::exists(output / "influence/depth_ranking.png"));
    REQUIRE(fs::exists(output / "influence/routing.png"));
}

TEST_CASE("evaluating what is held out needs no prior", "[programs]") {
    const test::TemporaryFolder folder;
    const auto data = folder.path / "capture", output = folder.path / "run";
    copy_capture(data);
    REQUIRE(run(train(output, "train.steps=1", data)).code == 0);
    auto done = run("evaluate " + output.string() + " test");
    REQUIRE(done.code == 0);
    const auto before = bytes(output / "eval/test.csv");
    fs::remove_all(data / "priors");
    fs::remove_all(data / "test_view");
    done = run("evaluate " + output.string() + " test");
    INFO(done.text);
    REQUIRE(done.code == 0);
    REQUIRE(bytes(output / "eval/test.csv") == before);
    done = run("evaluate " + output.string() + " test_view");
    INFO(done.text);
    REQUIRE(done.code == 1);
    REQUIRE(done.text.find("there is no split 'test_view'") != std::string::npos);
}

TEST_CASE("an avatar file is drawn with nothing else on disk, as its run is", "[programs]") {
    const test::TemporaryFolder folder;
    const auto data = folder.path / "capture", output = folder.path / "run";
    copy_capture(data);
    REQUIRE(run(train(output, "train.steps=2", data)).code == 0);
    const auto motion = folder.path / "novel.npz";
    fs::copy(data / "novel_motion/poses.npz", motion);
    const auto drawn = [&](const fs::path& avatar, const std::string& more) {
        const auto done = run("render " + avatar.string() + " " + more);
        INFO(done.text);
        REQUIRE(done.code == 0);
    };
    drawn(output, "--motion " + motion.string() + " --frames 2");
    drawn(output, "--orbit 2 --out " + (folder.path / "turn").string());

    const auto alone = folder.path / "alone";
    fs::create_directory(alone);
    fs::rename(output / "avatar.safetensors", alone / "a.safetensors");
    fs::rename(output / "render/novel", folder.path / "of_the_run");
    fs::remove_all(output);
    fs::remove_all(data);
    drawn(alone / "a.safetensors", "--motion " + motion.string() + " --frames 2");
    drawn(alone / "a.safetensors", "--orbit 2");
    const auto made = alone / "a.safetensors_render";
    int pictures = 0;
    for (const auto& [expected, found] : {std::pair{folder.path / "of_the_run", made / "novel"},
                                          std::pair{folder.path / "turn/orbit", made / "orbit"}}) {
        for (const auto& entry : fs::recursive_directory_iterator(expected)) {
            if (!entry.is_regular_file()) continue;
            const auto name = fs::relative(entry.path(), expected);
            INFO(name);
            REQUIRE(bytes(entry.path()) == bytes(found / name));
            ++pictures;
        }
    }
    // 1 pose and 2 views of color, alpha, depth, normal, depth_normal and semantic; two sheets.
    REQUIRE(pictures == 3 * 6 + 2);
    // A smaller spread is another picture.
    drawn(alone / "a.safetensors",
          "--orbit 1 render.low_pass=0.7071 --out " + (folder.path / "wide").string());
    REQUIRE(bytes(folder.path / "wide/orbit/color/000000.png") !=
            bytes(made / "orbit/color/000000.png"));
}

TEST_CASE("a run with a loss of one's own is evaluated, and `train` says what it lacks",
          "[programs]") {
    const test::TemporaryFolder folder;
    const auto output = folder.path / "run";
    auto done = run("train_own_loss" + train(output, "train.steps=1").substr(5));
    INFO(done.text);
    REQUIRE(done.code == 0);
    REQUIRE(bytes(output / "metrics.csv").find(",exposure\n1,") != std::string::npos);
    REQUIRE(model(output, 1).find("losses.exposure.gain") != std::string::npos);
    done = run("train " + output.string() + " train.steps=2");
    REQUIRE(done.code == 1);
    REQUIRE(done.text.find("losses.exposure.gain: not part of this model") != std::string::npos);
    REQUIRE(run("evaluate " + output.string() + " test").code == 0);
}

TEST_CASE("every routing trains", "[programs]") {
    const test::TemporaryFolder folder;
    for (const std::string routing : {"off", "literal", "strict"}) {
        const auto done = run(train(folder.path / routing, "train.steps=2 routing=" + routing));
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
        << "modalities: {dino: {channels: 3, hidden: 8, volume: {log2_hashmap_size: 10}}}\n"
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

namespace {

/// A capture spoiled in one way, and a word of the message that says so.
struct Damage {
    std::string name, words;
    std::function<void(const fs::path&)> apply;
};

fs::path first_file(const fs::path& folder) {
    std::set<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder)) files.insert(entry.path());
    return *files.begin();
}

void change_body(const fs::path& capture, const std::function<void(NpzFile&)>& change) {
    auto body = read_npz(capture / "body.npz");
    change(body);
    write_npz(capture / "body.npz", body);
}

void spoil_poses(const fs::path& capture) {
    for (const auto& file : fs::directory_iterator(capture / "poses")) {
        auto poses = read_npz(file.path());
        auto turns = poses.at("body_pose").tensor().clone();
        turns[1][2] = NAN;
        poses["body_pose"] = npy_array(turns);
        write_npz(file.path(), poses);
    }
}

const std::vector<Damage> kDamages = {
    {"no_prior", "normal", [](const fs::path& d) { fs::remove(first_file(d / "priors/normal")); }},
    {"corrupt_image", "images",
     [](const fs::path& d) { std::ofstream(first_file(d / "images")) << "no picture"; }},
    {"few_masks", "mask", [](const fs::path& d) { fs::remove(first_file(d / "masks")); }},
    {"no_body", "data.body", [](const fs::path& d) { fs::remove(d / "body.npz"); }},
    {"bad_body", "weights",
     [](const fs::path& d) { change_body(d, [](auto& body) { body.erase("weights"); }); }},
    {"bad_faces", "f",
     [](const fs::path& d) {
         change_body(d, [](auto& body) {
             auto faces = body.at("f").tensor().to(torch::kLong);
             faces[3][1] = 1000000;
             body["f"] = npy_array(faces);
         });
     }},
    {"nan_pose", "body_pose", spoil_poses},
};

}  // namespace

TEST_CASE(
    "bad input gives one clear message, a failing exit code, and leaves earlier results alone",
    "[programs]") {
    const test::TemporaryFolder folder;
    const auto output = folder.path / "run";
    REQUIRE(run(train(output, "train.steps=1")).code == 0);
    const auto before = model(output, 1);

    std::vector<std::pair<std::string, std::string>> cases = {
        // arguments, words
        {train(output, "train.steps=1"), "checkpoints"},
        {train(folder.path / "x", "trian.steps=1"), "train"},
        {train(folder.path / "x", "train.steps=many"), "train.steps"},
        {train(folder.path / "x", "losses.dpeth.weight=1"), "dpeth"},
        {train(folder.path / "x", "routing=coordinated"), "coordinated"},
        {"train " + (folder.path / "none.yaml").string(), "none.yaml"},
        {"evaluate " + (folder.path / "none").string(), "none"},
        {"evaluate " + output.string() + " nosuch", "nosuch"},
        {"evaluate " + output.string() + " avatar.geometry.hidden=64", "geometry"},
        {"render " + (folder.path / "none.safetensors").string(), "none.safetensors"},
        {"render " + output.string() + " avatar.subdivisions=1", "avatar"},
        {"render " + (output / "checkpoints/000001/model.safetensors").string(), "fmgs-checkpoint"},
    };
    for (const auto& damage : kDamages) {
        const auto data = folder.path / damage.name;
        copy_capture(data);
        damage.apply(data);
        cases.emplace_back(train(folder.path / (damage.name + "_run"), "train.steps=1", data),
                           damage.words);
    }
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
