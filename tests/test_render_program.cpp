// What `render` and `hello_surfels` write, replace and refuse.
#include <fmgs/avatar_file.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/data/image_io.h>
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <numbers>

#include "support/programs.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

/// A run of one step, made once.
const fs::path& trained() {
    static const TemporaryFolder folder;
    static const auto output = folder.path / "run";
    if (!fs::exists(output)) REQUIRE(run(train(output, "train.steps=1")).code == 0);
    return output;
}

}  // namespace

TEST_CASE("a render takes the place of an earlier one whole or not at all", "[programs]") {
    const test::TemporaryFolder folder;
    const auto output = folder.path;
    const auto drawn = [&](const std::string& more, const std::string& before = {}) {
        return run("render " + (trained() / "avatar.safetensors").string() + " --out " +
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

TEST_CASE("the capture's own camera as a path draws what is drawn without; the rest pose, values",
          "[programs]") {
    const test::TemporaryFolder folder;
    const auto& output = trained();
    const auto drawn = [&](const std::string& more) {
        const auto done = run("render " + output.string() + " " + more);
        INFO(done.text);
        REQUIRE(done.code == 0);
    };
    const auto saved = load_avatar(output / "avatar.safetensors");
    const auto& camera = saved.scene.camera;
    const auto R = camera.rotation.to(torch::kDouble).t();
    const auto c = -torch::mv(R, camera.translation.to(torch::kDouble));
    const auto focal = camera.intrinsics[1].item<double>();
    std::string matrix;
    for (int64_t i = 0; i < 3; ++i) {
        const auto at = [&](const torch::Tensor& x) { return x.item<double>(); };
        matrix += fmt::format("[{:.17g}, {:.17g}, {:.17g}, {:.17g}], ", at(R[i][0]), -at(R[i][1]),
                              -at(R[i][2]), at(c[i]));
    }
    std::ofstream(folder.path / "still.json") << fmt::format(
        R"({{"render_height": {}, "render_width": {}, "camera_path": [{{"fov": {:.17g},
            "camera_to_world": [{}[0, 0, 0, 1]]}}]}})",
        camera.height, camera.width,
        2 * std::atan(0.5 * static_cast<double>(camera.height) / focal) * 180 / std::numbers::pi,
        matrix);
    const auto motion = "--motion " + (capture() / "novel_motion/poses.npz").string();
    drawn(motion);
    drawn(motion + " --camera " + (folder.path / "still.json").string() +
          " --values normal_xyz,depth_mm");
    const auto with = output / "render/poses_still";
    for (const auto* map : {"color", "depth", "semantic"}) {
        const auto file = std::string(map) + "/000000.png";
        CHECK(bytes(with / file) == bytes(output / "render/poses" / file));
    }
    CHECK(fs::exists(with / "normal_xyz/000000.npy"));
    CHECK(fs::exists(with / "depth_mm/000000.png"));

    drawn("--rest --orbit 2 --size 40x80 --transparent");
    const auto person = read_channels(output / "render/rest/color/000001.png");
    CHECK(person.sizes() == torch::IntArrayRef({4, 80, 40}));
    CHECK(person[3].max().item<int64_t>() > 200);
    CHECK(person[3][0][0].item<int64_t>() == 0);
    CHECK(fs::exists(output / "render/rest/grid.png"));
}

TEST_CASE("render says what it cannot do with a number", "[programs]") {
    const test::TemporaryFolder folder;
    const auto avatar = (trained() / "avatar.safetensors").string();
    for (const auto& [arguments, words] :
         {std::pair{"--orbit 1 --fps nan", "--fps: expected a number from 1 to 1000, got nan"},
          std::pair{"--orbit 1 --size 1e9", "--size: expected N or WxH, in pixels from 16 to 8192"},
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
