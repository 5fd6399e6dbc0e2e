// What `render` and `hello_surfels` write, replace and refuse.
#include <fmgs/core/io/npz.h>

#include <map>

#include "support/programs.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

TEST_CASE("a render takes the place of an earlier one whole or not at all", "[programs]") {
    const test::TemporaryFolder folder;
    const auto output = folder.path / "run";
    REQUIRE(run(train(output, "train.steps=1")).code == 0);
    const auto drawn = [&](const std::string& more, const std::string& before = {}) {
        return run("render " + (output / "avatar.safetensors").string() + " --out " +
                       (output / "render").string() + " " + more,
                   before);
    };
    const auto listed = [&] {
        std::map<std::string, std::string> files;
        for (const auto& entry : fs::recursive_directory_iterator(output / "render"))
            if (entry.is_regular_file())
                files[fs::relative(entry.path(), output / "render")] = bytes(entry.path());
        return files;
    };
    REQUIRE(drawn("--orbit 3").code == 0);
    const auto before = listed();
    REQUIRE(before.contains("orbit/color/000002.png"));
    // No file may grow beyond this: a picture fits, a video does not.
    const auto failed = drawn("--orbit 40", "env --ignore-signal=XFSZ prlimit --fsize=12000 ");
    INFO(failed.text);
    const bool video = before.contains("orbit.mp4") || before.contains("orbit.avi");
    if (video) {
        REQUIRE(failed.code == 1);
        auto after = listed();
        std::erase_if(after, [](const auto& file) { return file.first[0] == '.'; });
        REQUIRE(after == before);
    }
    // What that one left, and one that was killed, goes with the next.
    fs::create_directories(output / "render/.orbit.99999999.partial/color");
    const auto motion = folder.path / "orbit.npz";
    fs::copy(capture() / "novel_motion/poses.npz", motion);
    REQUIRE(drawn("--motion " + motion.string()).code == 0);
    const auto both = listed();
    for (const auto& [name, content] : before) REQUIRE(both.at(name) == content);
    REQUIRE(both.contains("orbit_motion/color/000000.png"));
    REQUIRE(drawn("--orbit 2").code == 0);
    const auto last = listed();
    REQUIRE(last.contains("orbit/color/000001.png"));
    REQUIRE_FALSE(last.contains("orbit/color/000002.png"));
    for (const auto& entry : fs::directory_iterator(output / "render"))
        CHECK(entry.path().filename().string()[0] != '.');

    // A folder that no render wrote is not replaced.
    std::ofstream(output / "render/orbit/letter.txt") << "dear";
    const auto refused = drawn("--orbit 2");
    INFO(refused.text);
    REQUIRE(refused.code == 1);
    REQUIRE(refused.text.find("it holds letter.txt; give another --out") != std::string::npos);
    REQUIRE(listed().at("orbit/letter.txt") == "dear");
}

TEST_CASE("render says what it cannot do with a number", "[programs]") {
    const test::TemporaryFolder folder;
    const auto output = folder.path / "run";
    REQUIRE(run(train(output, "train.steps=1")).code == 0);
    const auto avatar = (output / "avatar.safetensors").string();
    for (const auto& [arguments, words] :
         {std::pair{"--orbit 1 --scale nan", "--scale: expected a number from 0.05 to 16, got nan"},
          std::pair{"--orbit 1 --scale 1e9", "--scale: expected a number from 0.05 to 16"},
          std::pair{"--orbit 1 --stride 0", "--stride: Value 0 not in range"}}) {
        const auto done = run("render " + avatar + " " + arguments);
        INFO(done.text);
        CHECK(done.code != 0);
        CHECK(done.text.find(words) != std::string::npos);
        CHECK(done.text.size() < 300);
    }
    auto poses = read_npz(capture() / "novel_motion/poses.npz");
    poses["fps"] = npy_array(torch::tensor(0.5));
    write_npz(folder.path / "slow.npz", poses);
    const auto slow = run("render " + avatar + " --motion " + (folder.path / "slow.npz").string());
    INFO(slow.text);
    CHECK(slow.code == 0);
    CHECK(slow.text.find("note: no video: 0.5 pictures a second") != std::string::npos);
    const auto name = (folder.path / "out.jpg").string();
    const auto hello = run("hello_surfels '' " + name);
    CHECK(hello.code == 1);
    CHECK(hello.text.find("out.jpg: expected a name that ends in .png") != std::string::npos);
    CHECK_FALSE(fs::exists(name));
}
