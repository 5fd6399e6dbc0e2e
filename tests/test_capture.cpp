#include <fmgs/core/body_model.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/capture.h>
#include <fmgs/data/capture_writer.h>
#include <fmgs/data/image_io.h>
#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <functional>

#include "support/test.h"

using namespace fmgs;
namespace fs = std::filesystem;
using fmgs::test::TemporaryFolder;
using fmgs::test::throws_error;

namespace {

constexpr int64_t kHeight = 12, kWidth = 16;

BodyPose some_pose(int64_t seed) {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(static_cast<uint64_t>(seed));
    return {exp_map(torch::randn({24, 3}, generator) * 0.4),
            torch::randn({3}, generator) + torch::tensor({0.f, 0.f, 5.f})};
}

// A frame whose person is a rectangle; every map is a ramp, so that a flip or a shift of axes
// shows.
Frame some_frame(const std::string& name, int64_t seed, bool priors) {
    Frame frame;
    frame.name = name;
    frame.camera = {torch::eye(3), torch::zeros(3), torch::tensor({20.f, 21.f, 8.f, 6.f}), kWidth,
                    kHeight};
    frame.pose = some_pose(seed);
    auto mask = torch::zeros({1, kHeight, kWidth});
    mask.slice(1, 2, 11).slice(2, 4, 13).fill_(1);
    const auto ramp = torch::arange(kHeight * kWidth, torch::kFloat).reshape({1, kHeight, kWidth}) /
                      (kHeight * kWidth);
    const auto shade = 0.3 + 0.1 * static_cast<double>(seed % 5);
    const auto color = torch::cat({ramp, ramp * shade, 1 - ramp}) * mask;
    const auto side = torch::cat({ramp - 0.5, 0.3 - ramp * 0.4, -torch::ones_like(ramp)});
    const auto normal = side / side.norm(2, 0, true) * mask;
    const auto labels = ((ramp[0] * 26).to(torch::kLong) + 1) * mask[0].to(torch::kLong);
    frame.maps = {{"color", color}, {"mask", mask}};
    if (priors) {
        frame.maps.set("normal", normal);
        frame.maps.set("depth", (0.1 + 0.8 * ramp) * mask);
        frame.maps.set("semantic", labels);
        frame.maps.set("dino", torch::cat({ramp, -ramp, ramp * 2, 1 - ramp}));
    }
    frame.truth = {{"color", color},
                   {"mask", mask},
                   {"depth", (4.8 + ramp) * mask},
                   {"normal", normal},
                   {"semantic", labels}};
    return frame;
}

Capture some_capture() {
    Capture capture;
    capture.betas = torch::tensor({0.5f, -0.25f});
    for (int64_t i = 0; i < 3; ++i)
        capture.splits["train"].push_back(some_frame(fmt::format("image_{:04d}", i), i, true));
    for (int64_t i = 3; i < 5; ++i)
        capture.splits["test"].push_back(some_frame(fmt::format("image_{:04d}", i), i, false));
    for (int64_t i = 0; i < 2; ++i) {
        auto frame = some_frame(fmt::format("view_{:04d}", i), 1 + i,
                                false);  // the poses of train frames 1 and 2
        frame.camera.rotation =
            exp_map(torch::tensor({{0.f, 0.5f + static_cast<float>(i), 0.f}}))[0];
        frame.camera.translation = torch::tensor({0.1f, 0.2f, 0.3f});
        capture.splits["test_view"].push_back(frame);
    }
    capture.splits["novel_motion"].push_back(some_frame("novel_0000", 9, false));
    return capture;
}

const std::map<std::string, std::string> kDino = {{"dino", "priors/dino"}};

CaptureOptions options(const fs::path& root, int64_t downscale = 1) {
    CaptureOptions out;
    out.root = root.string();
    out.downscale = downscale;
    return out;
}

void require_same(const Frame& a, const Frame& b) {
    INFO(b.name);
    REQUIRE(a.name == b.name);
    REQUIRE_CLOSE(a.camera.rotation, b.camera.rotation, 1e-6);
    REQUIRE_CLOSE(a.camera.translation, b.camera.translation, 1e-6);
    REQUIRE_CLOSE(a.camera.intrinsics, b.camera.intrinsics, 1e-6);
    REQUIRE((a.camera.width == b.camera.width && a.camera.height == b.camera.height));
    REQUIRE_CLOSE(a.pose.rotations, b.pose.rotations, 5e-6);  // through float axis-angle
    REQUIRE_CLOSE(a.pose.translation, b.pose.translation, 1e-6);
    for (const auto* maps : {&b.maps, &b.truth}) {
        const auto& other = maps == &b.maps ? a.maps : a.truth;
        REQUIRE(other.size() == maps->size());
        for (const auto& [name, map] : *maps) {
            INFO(name);
            const auto& back = other.at(name);
            REQUIRE(back.scalar_type() == map.scalar_type());
            REQUIRE(back.sizes() == map.sizes());
            // Half a step: 8-bit colour, 8-bit normals (renormalised), millimetres, 16-bit relative
            // depth.
            const double step = name == "color"    ? 0.5 / 255 + 1e-6
                                : name == "normal" ? std::sqrt(3.0) / 255
                                : name == "depth"  ? 0.5e-3 + 1e-5
                                                   : 1e-6;
            REQUIRE((back - map).abs().max().item<double>() <= step);
        }
    }
}

struct Written {
    TemporaryFolder folder;
    fs::path root = folder.path / "capture";
    Capture capture = some_capture();
    Written() { write_capture(root, capture); }
};

}  // namespace

TEST_CASE("a written capture is read back: frames, cameras, poses, priors, exact maps",
          "[capture]") {
    Written written;
    const auto back = read_capture(options(written.root), kDino);
    REQUIRE_CLOSE(back.betas, written.capture.betas, 0);
    REQUIRE(back.splits.size() == 4);
    for (const auto& [name, frames] : written.capture.splits) {
        REQUIRE(back.splits.at(name).size() == frames.size());
        for (size_t i = 0; i < frames.size(); ++i) require_same(back.splits.at(name)[i], frames[i]);
    }
    REQUIRE(back.notes.empty());
    REQUIRE(back.description.find("3 train, 2 test, 2 test_view, 1 novel_motion") !=
            std::string::npos);
}

TEST_CASE("a frame that shows a train frame's pose carries its index, others -1", "[capture]") {
    Written written;
    const auto index = [](const Capture& capture, const char* split) {
        std::vector<int64_t> all;
        for (const auto& frame : capture.splits.at(split)) all.push_back(frame.index);
        return all;
    };
    auto back = read_capture(options(written.root));
    REQUIRE(index(back, "train") == std::vector<int64_t>{0, 1, 2});
    REQUIRE(index(back, "test") == std::vector<int64_t>{-1, -1});
    REQUIRE(index(back, "test_view") == std::vector<int64_t>{1, 2});
    REQUIRE(index(back, "novel_motion") == std::vector<int64_t>{-1});
    auto some = options(written.root);
    some.stride = 2;  // frames 0 and 2: rows 0 and 1 of the pose table
    back = read_capture(some);
    REQUIRE(back.splits.at("train")[1].name == "image_0002");
    REQUIRE(index(back, "train") == std::vector<int64_t>{0, 1});
    REQUIRE(index(back, "test_view") == std::vector<int64_t>{-1, 1});
    some.last = 7;
    REQUIRE(throws_error([&] { read_capture(some); }, "data.first, last, stride"));
}

TEST_CASE("blocks of pixels become one: colour averaged, labels picked, camera following",
          "[capture]") {
    Written written;
    const auto full = read_capture(options(written.root)).splits.at("train")[0];
    const auto half = read_capture(options(written.root, 2), kDino).splits.at("train")[0];
    REQUIRE((half.camera.width == kWidth / 2 && half.camera.height == kHeight / 2));
    REQUIRE_CLOSE(half.camera.intrinsics, torch::tensor({10.f, 10.5f, 4.f, 3.f}), 1e-6);
    REQUIRE_CLOSE(half.maps.at("color"),
                  torch::avg_pool2d(full.maps.at("color").unsqueeze(0), 2)[0], 1e-6);
    REQUIRE_CLOSE(half.maps.at("mask"), torch::avg_pool2d(full.maps.at("mask").unsqueeze(0), 2)[0],
                  1e-6);
    REQUIRE(half.maps.at("mask")[0][5][1].item<double>() == 0);
    REQUIRE(half.maps.at("mask")[0][5][4].item<double>() == 0.5);  // rows 10, 11: one in, one out
    // The prior counts where any pixel has it, exact maps only where all four have.
    REQUIRE(
        half.maps.at("depth")[0][5][4].item<double>() ==
        Approx(full.maps.at("depth")[0].slice(0, 10, 11).slice(1, 8, 10).mean().item<double>()));
    REQUIRE(half.truth.at("depth")[0][5][4].item<double>() == 0);
    REQUIRE(half.truth.at("depth")[0][3][4].item<double>() ==
            Approx(full.truth.at("depth")[0].slice(0, 6, 8).slice(1, 8, 10).mean().item<double>()));
    REQUIRE(torch::equal(half.maps.at("semantic"),
                         full.maps.at("semantic").slice(0, 1, kHeight, 2).slice(1, 1, kWidth, 2)));
    const auto length = half.maps.at("normal").norm(2, 0);
    REQUIRE_CLOSE(length, (length > 0.5).to(torch::kFloat), 1e-5);
    REQUIRE(half.maps.at("dino").sizes() == torch::IntArrayRef({4, kHeight / 2, kWidth / 2}));
}

TEST_CASE("the background of a picture is black, whatever was photographed there", "[capture]") {
    Written written;
    write_color(written.root / "images/image_0000.png", torch::ones({3, kHeight, kWidth}));
    const auto frame = read_capture(options(written.root)).splits.at("train")[0];
    REQUIRE_CLOSE(frame.maps.at("color"), frame.maps.at("mask").expand({3, -1, -1}), 1e-6);
}

TEST_CASE("pixel_center 0 moves the principal point by half a pixel", "[capture]") {
    Written written;
    auto cameras = read_npz(written.root / "cameras.npz");
    cameras["pixel_center"] = npy_array(torch::zeros({}, torch::kDouble));
    write_npz(written.root / "cameras.npz", cameras);
    const auto frame = read_capture(options(written.root)).splits.at("train")[0];
    REQUIRE_CLOSE(frame.camera.intrinsics, torch::tensor({20.f, 21.f, 8.5f, 6.5f}), 1e-6);
}

TEST_CASE("a missing kind of prior is a note, not an error", "[capture]") {
    Written written;
    fs::remove_all(written.root / "priors/normal");
    const auto back = read_capture(options(written.root));
    REQUIRE(back.notes.size() == 1);
    REQUIRE(back.notes[0].find("priors/normal: no such folder") != std::string::npos);
    REQUIRE_FALSE(back.splits.at("train")[0].maps.contains("normal"));
    REQUIRE(back.splits.at("train")[0].maps.contains("depth"));
}

TEST_CASE(
    "one poses.npz for all images serves as train split, and 63 columns leave the hands at rest",
    "[capture]") {
    Written written;
    fs::remove_all(written.root / "poses");
    fs::remove_all(written.root / "splits");
    const auto angles = torch::rand({5, 63}) * 0.3;
    write_npz(written.root / "poses.npz", {{"betas", npy_array(torch::tensor({{0.5f, -0.25f}}))},
                                           {"global_orient", npy_array(torch::rand({5, 3}))},
                                           {"body_pose", npy_array(angles)},
                                           {"transl", npy_array(torch::rand({5, 3}))}});
    fs::remove_all(written.root / "priors");
    const auto frames = read_capture(options(written.root)).splits.at("train");
    REQUIRE(frames.size() == 5);
    REQUIRE(frames[4].pose.rotations.size(0) == 24);
    REQUIRE_CLOSE(frames[4].pose.rotations[21], exp_map(angles[4].slice(0, 60, 63).unsqueeze(0))[0],
                  1e-6);
    REQUIRE_CLOSE(frames[4].pose.rotations[23], torch::eye(3), 0);
}

TEST_CASE("other betas in a split keep the root joint where it was, and the loader says so",
          "[capture]") {
    Written written;
    const fs::path file = written.root / "poses/test.npz";
    auto poses = read_npz(file);
    poses["betas"] = npy_array(torch::tensor({{1.5f, -0.25f}}));
    write_npz(file, poses);
    REQUIRE(throws_error([&] { read_capture(options(written.root)); }, "data.body"));

    // Joint 0 is the mean of the first two vertices; the first shape direction moves vertex 0 by
    // (0.2,0,-0.4).
    BodyData body;
    body.vertices =
        torch::tensor({{0.f, 0.f, 0.f}, {1.f, 0.f, 0.f}, {0.f, 1.f, 0.f}, {0.f, 0.f, 1.f}});
    body.faces = torch::tensor({{0, 2, 1}, {0, 1, 3}, {1, 2, 3}, {0, 3, 2}}, torch::kLong);
    body.weights = torch::tensor({{1.f, 0.f}, {1.f, 0.f}, {0.f, 1.f}, {0.f, 1.f}});
    body.joint_regressor = torch::tensor({{0.5f, 0.5f, 0.f, 0.f}, {0.f, 0.f, 0.5f, 0.5f}});
    body.parents = torch::tensor({-1, 0}, torch::kLong);
    body.shape_directions = torch::zeros({4, 3, 2});
    body.shape_directions[0].select(1, 0).copy_(torch::tensor({0.2f, 0.f, -0.4f}));
    write_body(written.folder.path / "body.npz", body);
    auto with_body = options(written.root);
    with_body.body = (written.folder.path / "body.npz").string();
    const auto back = read_capture(with_body);
    const auto moved =
        written.capture.splits.at("test")[0].pose.translation + torch::tensor({0.1f, 0.f, -0.2f});
    REQUIRE_CLOSE(back.splits.at("test")[0].pose.translation, moved, 1e-6);
    REQUIRE(back.notes.size() == 1);
    REQUIRE(back.notes[0].find("223.6 mm") != std::string::npos);
}

namespace {

/// Applies f to one array of a file.
void spoil(const fs::path& file, const std::string& key,
           const std::function<torch::Tensor(torch::Tensor)>& f) {
    auto npz = read_npz(file);
    npz[key] = npy_array(f(npz[key].tensor()).contiguous());
    write_npz(file, npz);
}

torch::Tensor nan_in_row_1(torch::Tensor x) {
    x[1][2] = NAN;
    return x;
}

torch::Tensor shorter(const torch::Tensor& x) { return x.slice(0, 0, x.size(0) - 1); }

/// A capture spoiled in one way, and what the message says.
struct Damage {
    std::string words;
    std::function<void(const fs::path&)> apply;
};

const std::vector<Damage> kDamages = {
    {"cameras.npz", [](auto& r) { fs::remove(r / "cameras.npz"); }},
    {"images/image_0001.png", [](auto& r) { fs::remove(r / "images/image_0001.png"); }},
    {"image_0001.png: not a readable",
     [](auto& r) { fs::resize_file(r / "images/image_0001.png", 90); }},
    {"masks/mask_0002.png", [](auto& r) { fs::remove(r / "masks/image_0002.png"); }},
    {"priors/normal/image_0002.png",
     [](auto& r) { fs::remove(r / "priors/normal/image_0002.png"); }},
    {"priors/seg/image_0000.png",
     [](auto& r) { std::ofstream(r / "priors/seg/image_0000.png") << "x"; }},
    {"priors/dino/image_0001.npy", [](auto& r) { fs::remove(r / "priors/dino/image_0001.npy"); }},
    {"expected 4 channels",
     [](auto& r) {
         write_npy(r / "priors/dino/image_0001.npy", npy_array(torch::zeros({2, 12, 16})));
     }},
    {"expected 16x12",
     [](auto& r) {
         write_gray(r / "masks/image_0001.png", torch::ones({12, 15}));
     }},
    {"priors/depth/image_0001.png",
     [](auto& r) {
         write_gray(r / "priors/depth/image_0001.png", torch::ones({6, 8}));
     }},
    {"train.npz: body_pose: row 1",
     [](auto& r) { spoil(r / "poses/train.npz", "body_pose", nan_in_row_1); }},
    {"test.npz: transl: row 1",
     [](auto& r) { spoil(r / "poses/test.npz", "transl", nan_in_row_1); }},
    {"train.npz: rows that do not match",
     [](auto& r) { spoil(r / "poses/train.npz", "transl", shorter); }},
    {"test_view/cameras.npz: extrinsic: expected 1 or 2",
     [](auto& r) {
         spoil(r / "test_view/cameras.npz", "extrinsic", [](auto x) { return torch::cat({x, x}); });
     }},
    {"no pose for frame 'image_0004'",
     [](auto& r) { std::ofstream(r / "splits/train.txt", std::ios::app) << "image_0004\n"; }},
    {"priors.json: normal.axes",
     [](auto& r) { std::ofstream(r / "priors/priors.json") << R"({"normal": {"axes": "RRB"}})"; }},
    {"priors.json: expected a JSON",
     [](auto& r) { std::ofstream(r / "priors/priors.json") << "{"; }},
    {"poses.npz", [](auto& r) { fs::remove_all(r / "poses"); }},
    {"novel_motion/poses.npz", [](auto& r) { fs::resize_file(r / "novel_motion/poses.npz", 300); }},
};

}  // namespace

TEST_CASE("each way of damaging a capture is an Error that names the file", "[capture]") {
    Written written;
    for (const auto& damage : kDamages) {
        INFO(damage.words);
        const fs::path copy = written.folder.path / "copy";
        fs::remove_all(copy);
        fs::copy(written.root, copy, fs::copy_options::recursive);
        damage.apply(copy);
        REQUIRE(throws_error([&] { read_capture(options(copy), kDino); }, damage.words));
    }
}

TEST_CASE("writing over files that are there is refused and changes nothing", "[capture]") {
    Written written;
    const auto time = fs::last_write_time(written.root / "cameras.npz");
    REQUIRE(
        throws_error([&] { write_capture(written.root, written.capture); }, "holds files already"));
    REQUIRE(fs::last_write_time(written.root / "cameras.npz") == time);
    auto broken = written.capture;
    broken.splits["train"][1].maps = {{"mask", torch::ones({1, kHeight, kWidth})}};
    REQUIRE(throws_error([&] { write_capture(written.folder.path / "new", broken); }, "color"));
    REQUIRE_FALSE(fs::exists(written.folder.path / "new"));
    REQUIRE_FALSE(fs::exists(written.folder.path / "new.part"));
}
