#include <fmgs/core/io/files.h>
#include <fmgs/core/rotation.h>

#include <cmath>
#include <fstream>
#include <functional>

#include "support/captures.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

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
                  torch::avg_pool2d(full.maps.at("color").unsqueeze(0), 2)[0], 8e-6);
    REQUIRE_CLOSE(half.maps.at("mask"), torch::avg_pool2d(full.maps.at("mask").unsqueeze(0), 2)[0],
                  0);
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
    REQUIRE_CLOSE(length, (length > 0.5).to(torch::kFloat), 5e-4);  // of half precision: 2⁻¹¹
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

TEST_CASE("pictures end in upper case too, and lists of names may begin with a byte order mark",
          "[capture]") {
    Written written;
    for (const char* folder : {"images", "masks", "priors/normal", "gt/depth"}) {
        const fs::path file = written.root / folder / "image_0000.png";
        fs::rename(file, fs::path(file).replace_extension(".PNG"));
    }
    std::ofstream(written.root / "splits/train.txt") << "\xEF\xBB\xBF"
                                                     << "image_0000.PNG\r\n"
                                                     << "image_0001.jpeg\n";
    const auto frames = read_capture(options(written.root)).splits.at("train");
    REQUIRE(frames.size() == 2);
    require_same_color(frames[0], written.capture.splits["train"][0]);
    REQUIRE(frames[0].maps.contains("normal"));
    REQUIRE(frames[1].name == "image_0001");
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
    auto with_body = options(written.root);
    with_body.body = small_body(written, 24, 2);
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
    bool inside = false;  ///< headers do not tell: the frame has the error
};

const std::vector<Damage> kDamages = {
    {"cameras.npz", [](auto& r) { fs::remove(r / "cameras.npz"); }},
    {"images/image_0001.png", [](auto& r) { fs::remove(r / "images/image_0001.png"); }},
    {"image_0001.png: not a readable",
     [](auto& r) { fs::resize_file(r / "images/image_0001.png", 90); }, /*inside=*/true},
    {"masks/image_0002.png", [](auto& r) { fs::remove(r / "masks/image_0002.png"); }},
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
    {"no poses of split 'train'; expected poses/anim_nerf_train.npz, poses/train.npz or poses.npz",
     [](auto& r) { fs::remove_all(r / "poses"); }},
    {"cameras.npz: intrinsic: expected the last row of each matrix to be 0,0,1, got 8,6,1",
     [](auto& r) {
         spoil(r / "cameras.npz", "intrinsic", [](auto x) { return x.transpose(-1, -2); });
     }},
    {"cameras.npz: intrinsic: expected the last row of each matrix to be 0,0,1, got 0,0,2",
     [](auto& r) { spoil(r / "cameras.npz", "intrinsic", [](auto x) { return 2 * x; }); }},
    {"cameras.npz: extrinsic: expected the last row of each matrix to be 0,0,0,1, got ",
     [](auto& r) {
         spoil(r / "test_view/cameras.npz", "extrinsic",
               [](auto x) { return x.transpose(-1, -2); });
     }},
    {"cameras.npz: width: expected a whole number of pixels from 1 to 1048576, got nan",
     [](auto& r) {
         spoil(r / "cameras.npz", "width",
               [](auto x) { return torch::full_like(x, NAN, torch::kDouble); });
     }},
    {"test.npz: frame_names: expected an array of text (dtype U or S), got 'i8'",
     [](auto& r) {
         auto npz = read_npz(r / "poses/test.npz");
         npz["frame_names"] = npy_array(torch::arange(2));
         write_npz(r / "poses/test.npz", npz);
     }},
    {"priors/seg/image_0001.npy: an array of dtype 'U1' cannot become a tensor",
     [](auto& r) {
         fs::remove(r / "priors/seg/image_0001.png");
         auto text = npy_array(std::vector<std::string>(12 * 16, "x"));
         text.shape = {12, 16};
         write_npy(r / "priors/seg/image_0001.npy", text);
     },
     /*inside=*/true},
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
        const auto read = [&] { return read_capture(options(copy), kDino); };
        if (!damage.inside) {
            REQUIRE(throws_error(read, damage.words));
            continue;
        }
        const auto frames = read().splits.at("train");
        frames[0];
        REQUIRE(throws_error([&] { frames[1]; }, damage.words));
        frames[2];
    }
}

TEST_CASE("writing over files that are there is refused and changes nothing", "[capture]") {
    Written written;
    const auto time = fs::last_write_time(written.root / "cameras.npz");
    REQUIRE(
        throws_error([&] { write_capture(written.root, written.capture); }, "holds files already"));
    REQUIRE(fs::last_write_time(written.root / "cameras.npz") == time);
    auto broken = written.capture;
    auto& train = broken.splits["train"];
    std::vector<Frame> frames(train.begin(), train.end());
    frames[1].maps = {{"mask", torch::ones({1, kHeight, kWidth})}};
    train = frames;
    REQUIRE(throws_error([&] { write_capture(written.folder.path / "new", broken); }, "color"));
    REQUIRE_FALSE(fs::exists(written.folder.path / "new"));
    // Nothing is left beside it, and a folder of the user's with a likely name stays.
    fs::create_directory(written.folder.path / "new.part");
    write_whole(written.folder.path / "new.part/file", "mine");
    write_capture(written.folder.path / "new", written.capture);
    REQUIRE(read_whole(written.folder.path / "new.part/file") == "mine");
    REQUIRE(std::distance(fs::directory_iterator(written.folder.path), {}) == 3);
}
