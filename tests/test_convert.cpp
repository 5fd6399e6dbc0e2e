// What convert makes of a capture reads back as the capture itself, in every layout and with all
// that belongs to it.
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/data/camera_file.h>
#include <fmgs/data/capture_writer.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/priors.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/data/synthetic/synthetic.h>
#include <fmgs/data/video_reader.h>

#include <cmath>
#include <fstream>

#include "support/convert.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

constexpr double kLevel = 1.5 / 65520 + 1e-6;  // 16 bits on disk, and in memory before and after

/// Converts a capture and holds what is read back against it.
void require_survives(const CaptureOptions& options, const fs::path& out, double color = 0,
                      const std::map<std::string, std::string>& modalities = {}) {
    INFO(options.root);
    const auto before = read_capture(options, modalities);
    ConvertOptions how{.input = options.root, .output = out};
    how.body = options.body;
    how.splits = options.splits;
    how.camera = options.camera;
    const auto report = convert(how);
    CaptureOptions converted{.root = out.string(), .body = options.body};
    const auto after = read_capture(converted, modalities);
    require_same_capture(after, before, color);
    REQUIRE(report.frames.size() == before.splits.size());
    for (const auto& [split, count] : report.frames)
        REQUIRE(count == static_cast<int64_t>(before.splits.at(split).size()));
    REQUIRE(report.left_out == 0);
    REQUIRE(report.masks);
}

}  // namespace

TEST_CASE("every layout survives its conversion: splits, cameras, poses, pictures", "[convert]") {
    const TemporaryFolder folder;
    for (const char* name :
         {"neutral", "neutral_single", "zju_raw", "arah", "humannerf", "gomavatar",
          "humannerf_wild", "humannerf_wild_prepared", "people_snapshot", "neuman", "colmap_text",
          "colmap_binary", "nerfstudio", "anim_nerf", "easymocap", "x_humans", "dress4d"})
        require_survives(subject(name), folder.path / name);
    auto listed = subject("instant_avatar");
    listed.splits = (kCaptures / "instant_avatar.txt").string();
    require_survives(listed, folder.path / "instant_avatar");
    auto second = subject("neutral");
    second.camera = "2";
    require_survives(second, folder.path / "second");
}

TEST_CASE("held-out frames whose pictures are not there are left out", "[convert]") {
    const TemporaryFolder folder;
    for (const std::string name : {"zju_313", "zju_refined"}) {
        INFO(name);
        const auto report = convert(
            {.input = kCaptures / name, .output = folder.path / name, .body = subject(name).body});
        REQUIRE(report.left_out == 1);
        REQUIRE(report.frames.size() == 1);
        const auto before = read_capture(subject(name), {}, {{"train"}});
        const auto after = read_capture({.root = (folder.path / name).string()}, {}, {{"train"}});
        require_same_capture(after, before, 0);
    }
}

TEST_CASE("a conversion of a conversion is the same files", "[convert]") {
    const TemporaryFolder folder;
    for (const char* name : {"neutral", "neutral_single", "x_humans"}) {
        const auto once = folder.path / (std::string(name) + "_1");
        const auto twice = folder.path / (std::string(name) + "_2");
        convert({.input = kCaptures / name, .output = once, .body = subject(name).body});
        convert({.input = once, .output = twice, .body = subject(name).body});
        size_t files = 0;
        for (const auto& entry : fs::recursive_directory_iterator(once)) {
            if (!entry.is_regular_file()) continue;
            INFO(entry.path());
            const auto other = twice / fs::relative(entry.path(), once);
            REQUIRE(read_whole(other) == read_whole(entry.path()));
            ++files;
        }
        REQUIRE(files > 6);
    }
}

TEST_CASE("several cameras: a row for each, pictures in a folder of each", "[convert]") {
    const TemporaryFolder folder;
    const auto out = folder.path / "out";
    convert({.input = kCaptures / "zju_raw", .output = out, .body = subject("zju_raw").body});
    const auto cameras = read_camera_file(out / "cameras.npz");
    REQUIRE(cameras.names == std::vector<std::string>{"Camera_B1", "Camera_B2"});
    REQUIRE(cameras.intrinsic.size(0) == 2);
    REQUIRE(cameras.extrinsic.size(0) == 2);
    REQUIRE((cameras.width == 32 && cameras.height == 24 && cameras.says_center));
    REQUIRE(read_whole(out / "images/Camera_B1/000002.jpg") ==
            read_whole(kCaptures / "zju_raw/Camera_B1/000002.jpg"));
    REQUIRE(fs::exists(out / "masks/Camera_B2/000000.png"));
    REQUIRE(read_text(out / "splits/test_view.txt") == "Camera_B2/000000\n");
    const auto poses = read_npz(out / "poses.npz");
    REQUIRE(poses.at("frame_names").strings() ==
            std::vector<std::string>{"000000", "000001", "000002"});
    REQUIRE(poses.at("betas").shape == std::vector<int64_t>{1, 10});
    // Lists of frames that are none of them.
    const auto list = out / "splits/train.txt";
    for (const char* line : {"Camera_B3/000000", "Camera_B1/000009", "000000"}) {
        write_whole(list, line);
        REQUIRE(throws_error([&] { read_capture({.root = out.string()}); }, "train.txt: expected"));
    }
}

TEST_CASE("pictures keep their background, and masks what is soft in them", "[convert]") {
    const TemporaryFolder folder;
    const auto source = folder.path / "source", out = folder.path / "out";
    fs::copy(kCaptures / "anim_nerf", source, fs::copy_options::recursive);
    for (const char* k : {"1", "2", "3"})
        fs::copy(kCaptures / "loose" / ("frame_000" + std::string(k) + ".png"),
                 source / "cam000/images" / ("00000" + std::string(k) + ".png"),
                 fs::copy_options::overwrite_existing);
    auto options = subject("anim_nerf");
    options.root = source.string();
    require_survives(options, out);
    const auto stored = read_channels(source / "cam000/images/000001.png");
    REQUIRE_CLOSE(read_color(out / "images/000001.png"),
                  read_color(source / "cam000/images/000001.png"), 0);
    const auto mask = read_gray(out / "masks/000001.png");
    REQUIRE(torch::equal(mask, stored[3]));
    REQUIRE(((mask > 128) & (mask < 255)).any().item<bool>());
    // Of a video, and of two masks in one.
    convert({.input = kCaptures / "people_snapshot", .output = folder.path / "video"});
    VideoReader video(kCaptures / "people_snapshot/people_snapshot.avi");
    REQUIRE(video.count() == 3);
    for (int64_t k = 0; k < 3; ++k)
        REQUIRE_CLOSE(
            read_color(folder.path / "video/images" / ("image_000" + std::to_string(k) + ".png")),
            video.read(k), 1e-7);
}

TEST_CASE("the embedded capture with priors, exact maps and all four splits", "[convert]") {
    const TemporaryFolder folder;
    SyntheticOptions small;
    small.size = 32;
    small.train_frames = 3;
    small.test_frames = small.test_views = small.novel_frames = 2;
    small.subdivisions = 0;
    small.samples = 1;
    const auto source = folder.path / "source";
    write_capture(source, synthetic_capture(procedural_body(), small));
    write_body(folder.path / "body.npz", procedural_body());
    const CaptureOptions options{.root = source.string(),
                                 .body = (folder.path / "body.npz").string()};
    const auto splits = read_capture(options).splits;
    REQUIRE(splits.size() == 4);
    REQUIRE(splits.at("test_view")[0].index >= 0);
    require_survives(options, folder.path / "out");
    REQUIRE(read_capture(options).splits.at("train")[0].maps.contains("semantic"));
    REQUIRE(fs::exists(folder.path / "out/test_view/gt"));
}

namespace {

/// neutral_single with priors in odd conventions, a feature prior and an exact map.
fs::path with_maps(const fs::path& root) {
    fs::copy(kCaptures / "neutral_single", root, fs::copy_options::recursive);
    write_whole(root / "priors/priors.json",
                R"({"normal": {"folder": "n", "axes": "LUB", "channel_order": "bgr"},
                    "depth": {"folder": "d", "kind": "inverse"}, "seg": {"folder": "s"}})");
    for (const char* name : {"0", "1", "2"}) {
        const std::string stem = name;
        const auto x = torch::arange(24 * 32, torch::kFloat).reshape({24, 32}) / (24 * 32);
        fs::create_directories(root / "priors/n");
        fs::create_directories(root / "priors/s");
        fs::create_directories(root / "priors/d");
        fs::create_directories(root / "gt/depth");
        write_color(root / "priors/n" / (stem + ".png"), torch::stack({x, 1 - x, x * x}));
        write_gray(root / "priors/d" / (stem + ".png"), (x * 60000).to(torch::kLong), true);
        fs::create_directories(root / "priors/dino");
        write_npy(root / "priors/s" / (stem + "_seg.npy"),
                  npy_array((x * 20).to(torch::kUInt8).contiguous()));
        write_npy(root / "priors/dino" / (stem + ".npy"),
                  npy_array(torch::stack({x, -x}).contiguous()));
        write_gray(root / "gt/depth" / (stem + ".png"), (x * 4000).to(torch::kLong), true);
    }
    return root;
}

}  // namespace

TEST_CASE("priors in any convention, features and exact maps come along", "[convert]") {
    const TemporaryFolder folder;
    auto options = subject("neutral_single");
    options.root = with_maps(folder.path / "source").string();
    fs::create_directories(folder.path / "source/priors/some");
    fs::copy(folder.path / "source/priors/dino/1.npy", folder.path / "source/priors/some/1.npy");
    require_survives(options, folder.path / "out", 0, {{"dino", "priors/dino"}});
    REQUIRE(!fs::exists(folder.path / "out/priors/some"));
    REQUIRE(fs::exists(folder.path / "out/priors/seg/1.npy"));
    REQUIRE(read_prior_format(folder.path / "out/priors/priors.json").depth_kind == "inverse");
}

TEST_CASE("lens distortion is taken out, into the same intrinsics", "[convert]") {
    const TemporaryFolder folder;
    auto options = subject("neutral_single");
    options.root = with_maps(folder.path / "source").string();
    auto arrays = read_npz(fs::path(options.root) / "cameras.npz");
    arrays["dist"] = npy_array(torch::tensor({-0.3, 0.1, 0.01, -0.02, 0.0}, torch::kDouble));
    write_npz(fs::path(options.root) / "cameras.npz", arrays);
    // Of exact maps millimetres are kept.
    fs::remove_all(fs::path(options.root) / "gt");
    require_survives(options, folder.path / "out", kLevel, {{"dino", "priors/dino"}});
    REQUIRE(!read_camera_file(folder.path / "out/cameras.npz").distortion.defined());
    REQUIRE(read_prior_format(folder.path / "out/priors/priors.json").depth_kind == "depth");
    auto bent = read_color(fs::path(options.root) / "images/0.png");
    REQUIRE((read_color(folder.path / "out/images/0.png") - bent).abs().max().item<float>() > 0.1);
}
