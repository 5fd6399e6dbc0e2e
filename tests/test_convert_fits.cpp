// Pictures and videos of no capture, whose poses and camera a fit has; and what convert refuses.
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/video_reader.h>

#include <cmath>

#include "support/convert.h"
#include "support/fits.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

/// The train split.
std::vector<Frame> frames_of(const CaptureOptions& options) {
    const auto capture = read_capture(options);
    const auto& train = capture.splits.at("train");
    std::vector<Frame> frames;
    for (size_t i = 0; i < train.size(); ++i) frames.push_back(train[i]);
    return frames;
}

/// A folder that a conversion writes into, and pictures and masks of no capture.
struct Loose {
    TemporaryFolder folder;
    fs::path pictures = folder.path / "pictures", masks = folder.path / "masks",
             out = folder.path / "out";

    explicit Loose(const std::vector<std::string>& names, int64_t width = 64, int64_t height = 48) {
        float level = 0.1f;
        for (const auto& name : names) {
            fs::create_directories(pictures);
            fs::create_directories(masks);
            auto mask = torch::zeros({height, width}, torch::kLong);
            mask.slice(1, width / 4, width / 2) = 255;
            write_color(pictures / (name + ".png"), torch::full({3, height, width}, level));
            write_gray(masks / (name + ".png"), mask);
            level += 0.05f;
        }
    }
    ConvertOptions options(const std::string& fit) const {
        return {.input = pictures, .output = out, .fit = fit_path(fit), .masks = masks};
    }
    /// Read back.
    std::vector<Frame> train() const { return frames_of({.root = out.string()}); }
    /// Nothing but what was there before.
    bool is_untouched() const {
        for (const auto& entry : fs::directory_iterator(folder.path))
            if (entry.path() != pictures && entry.path() != masks) return false;
        return true;
    }
};

std::vector<std::string> numbered(const std::string& before, int64_t first, int64_t count) {
    std::vector<std::string> names;
    for (int64_t k = first; k < first + count; ++k) {
        const auto digits = std::to_string(k);
        names.push_back(before + std::string(6 - digits.size(), '0') + digits);
    }
    return names;
}

void require_rows(const std::vector<Frame>& frames, const std::vector<int64_t>& rows,
                  const FitTruth& truth) {
    REQUIRE(frames.size() == rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
        INFO(frames[i].name);
        REQUIRE_CLOSE(frames[i].pose.rotations, truth.rotations[rows[i]], 1e-4);
        REQUIRE_CLOSE(frames[i].pose.translation, truth.transl[rows[i]], 1e-5);
        REQUIRE_CLOSE(frames[i].camera.rotation, torch::eye(3), 0);
        REQUIRE_CLOSE(frames[i].camera.translation, torch::zeros({3}), 0);
    }
}

bool has_note(const ConvertReport& report, const std::string& words) {
    for (const auto& note : report.notes)
        if (note.find(words) != note.npos) return true;
    return false;
}

}  // namespace

TEST_CASE("a folder of pictures and WHAM's poses by their places, one of them lost", "[convert]") {
    const FitTruth truth;
    const Loose loose(numbered("frame_", 1, 8));
    const auto report = convert(loose.options("wham.pkl"));
    REQUIRE(report.left_out == 1);
    REQUIRE(has_note(report, "1 of 8 frames have no pose in"));
    REQUIRE(has_note(report, "'0' is taken for 'frame_000001'"));
    REQUIRE(has_note(report, "person 7 of 2"));
    const auto frames = loose.train();
    require_rows(frames, {0, 1, 2, 4, 5, 6, 7}, truth);
    REQUIRE(frames[3].name == "frame_000005");
    // √(64² + 48²)
    REQUIRE_CLOSE(frames[3].camera.intrinsics, torch::tensor({80.f, 80.f, 32.f, 24.f}), 1e-6);
    REQUIRE_CLOSE(frames[3].maps.at("mask").mean(), torch::tensor(0.25), 1e-6);
    REQUIRE_CLOSE(read_color(loose.out / "images/frame_000005.png"),
                  read_color(loose.pictures / "frame_000005.png"), 0);
    REQUIRE(!fs::exists(loose.out / "images/frame_000004.png"));
}

TEST_CASE("of several persons the one that is asked for", "[convert]") {
    const Loose loose(numbered("", 0, 8));
    auto options = loose.options("wham.pkl");
    options.person = 4;
    REQUIRE(convert(options).left_out == 5);
    const auto frames = loose.train();
    REQUIRE(frames.size() == 3);
    REQUIRE_CLOSE(frames[2].pose.translation, FitTruth().transl[2] + 0.5, 1e-5);
    options.person = 5;
    options.overwrite = true;
    REQUIRE(throws_error([&] { convert(options); }, "there is no person 5; there are 4, 7"));
    REQUIRE(loose.train().size() == 3);
}

TEST_CASE("names in a fit tell the pictures, whatever their order and number", "[convert]") {
    const FitTruth truth;
    const Loose loose({"000002", "000005", "000008", "000011"});
    const auto report = convert(loose.options("romp"));
    REQUIRE(report.left_out == 1);
    auto frames = loose.train();
    require_rows(frames, {1, 4, 7}, truth);
    REQUIRE(frames[0].camera.intrinsics[0].item<double>() ==
            Approx(64 * 0.5 * std::sqrt(3.0)).epsilon(1e-6));
    // By the numbers in the names where these are others.
    const Loose others({"shot-3", "shot-6"});
    REQUIRE(has_note(convert(others.options("romp")), "by the numbers in the names"));
    frames = others.train();
    require_rows(frames, {2, 5}, truth);
    const Loose none({"a", "b"});
    REQUIRE(throws_error([&] { convert(none.options("romp")); }, "no frame has a pose in it"));
    REQUIRE(none.is_untouched());
}

TEST_CASE("the camera that a fit states, with pictures of its size only", "[convert]") {
    const FitTruth truth;
    const Loose loose(numbered("", 1, 2), 1920, 1080);
    convert(loose.options("phalp.pkl"));
    const auto frames = loose.train();
    require_rows(frames, {0, 1}, truth);
    REQUIRE_CLOSE(frames[0].camera.intrinsics, torch::tensor({37500.f, 37500.f, 960.f, 540.f}),
                  1e-6);
    const Loose small(numbered("", 1, 2));
    REQUIRE(throws_error([&] { convert(small.options("phalp.pkl")); },
                         "expected pictures of 1920x1080, got 64x48; is it the fit of other"));
    // A row for each picture is expected where the fit has no numbers.
    REQUIRE(throws_error([&] { convert(small.options("gvhmr.pt")); }, "8 poses for 2 frames"));
    REQUIRE(throws_error([&] { convert(small.options("gvhmr.pt")); }, "30 poses a second"));
}

TEST_CASE("a video, decoded once, with masks in its order", "[convert]") {
    const auto video = kCaptures / "people_snapshot/people_snapshot.avi";
    const Loose loose(numbered("mask", 1, 3), 32, 24);
    auto options = loose.options("wham.pkl");
    options.input = video;
    const auto report = convert(options);
    REQUIRE(report.left_out == 0);
    REQUIRE(has_note(report, "4 of 7 poses belong to no frame"));
    const auto frames = loose.train();
    require_rows(frames, {0, 1, 2}, FitTruth());
    REQUIRE(frames[2].name == "000002");
    VideoReader reader(video);
    REQUIRE_CLOSE(read_color(loose.out / "images/000002.png"), reader.read(2), 1e-7);
    // Programs that name the frames of a video count from 0 or from 1.
    options.overwrite = true;
    options.fit = fit_path("romp_old.npz");
    convert(options);
    require_rows(loose.train(), {0, 1, 2}, FitTruth());
    // Without masks all is written but them.
    options.masks.clear();
    REQUIRE(!convert(options).masks);
    REQUIRE(!fs::exists(loose.out / "masks"));
    REQUIRE(throws_error([&] { loose.train(); }, "masks"));
}

TEST_CASE("PHALP's names of a video's frames count from 1", "[convert]") {
    const Loose loose(numbered("mask", 1, 3), 1920, 1080);
    VideoWriter video(loose.folder.path / "clip.avi", 1920, 1080, 30);
    REQUIRE(video.good());
    for (int k = 0; k < 3; ++k) video.add(torch::full({3, 1080, 1920}, 0.3));
    video.finish();
    auto options = loose.options("phalp.pkl");
    options.input = video.file();
    convert(options);
    require_rows(loose.train(), {0, 1, 2}, FitTruth());
}

TEST_CASE("alpha channels are masks; frames without one are left out", "[convert]") {
    const Loose loose({"frame_0009"}, 32, 24);
    for (const auto& entry : fs::directory_iterator(kCaptures / "loose"))
        fs::copy(entry.path(), loose.pictures);
    auto options = loose.options("wham.pkl");
    options.masks.clear();
    const auto report = convert(options);
    REQUIRE(report.masks);
    REQUIRE(has_note(report, "1 of 4 frames have no alpha channel"));
    const auto frames = loose.train();
    REQUIRE(frames.size() == 3);
    const auto wanted = frames_of(subject("neutral"));
    for (size_t k = 0; k < 3; ++k) {
        REQUIRE_CLOSE(frames[k].maps.at("mask"), wanted[k].maps.at("mask"), 0);
        REQUIRE_CLOSE(frames[k].maps.at("color"), wanted[k].maps.at("color"), 0);
    }
}

TEST_CASE("a fit takes the place of a capture's poses, and of its camera", "[convert]") {
    const FitTruth truth;
    const Loose loose({});
    ConvertOptions options{
        .input = kCaptures / "colmap_text", .output = loose.out, .fit = fit_path("wham.pkl")};
    convert(options);
    auto frames = loose.train();
    require_rows(frames, {0, 1, 2}, truth);
    REQUIRE(frames[0].camera.intrinsics[0].item<double>() == Approx(40));  // √(32² + 24²)
    // Without a camera the poses are in the capture's world.
    options.fit = loose.folder.path / "own.npz";
    auto poses = read_pose_file(fit_path("neutral.npz"));
    poses.names = numbered("", 0, 8);
    for (auto& name : poses.names) name = name.substr(1);  // five digits
    write_pose_file(options.fit, poses);
    options.overwrite = true;
    convert(options);
    frames = loose.train();
    const auto own = frames_of(subject("colmap_text"));
    for (size_t k = 0; k < 3; ++k) {
        REQUIRE_CLOSE(frames[k].pose.translation, truth.transl[static_cast<int64_t>(k)], 1e-5);
        REQUIRE_CLOSE(frames[k].camera.rotation, own[k].camera.rotation, 1e-6);
        REQUIRE_CLOSE(frames[k].camera.intrinsics, own[k].camera.intrinsics, 1e-6);
    }
    options.input = kCaptures / "neutral";
    options.fit = fit_path("wham.pkl");
    REQUIRE(throws_error([&] { convert(options); }, "is a fit before one camera, and '000000'"));
}

TEST_CASE("what lacks a pose, a camera or a mask is refused with the cure", "[convert]") {
    const Loose loose(numbered("", 0, 8));
    const auto refused = [&](ConvertOptions options, const std::string& words) {
        REQUIRE(throws_error([&] { convert(options); }, words));
        REQUIRE(loose.is_untouched());
    };
    auto options = loose.options("wham.pkl");
    options.fit.clear();
    refused(options, "a folder of pictures has no poses; give a fit of it");
    options.person = 2;
    refused(options, "--person 2: expected a fit of several persons");
    refused(loose.options("amass.npz"), "says nothing of a camera");
    refused(loose.options("nosuch.pkl"), "there is no such file");
    options = loose.options("wham.pkl");
    options.masks = loose.folder.path / "nosuch";
    refused(options, "nosuch: expected a folder of masks");
    options.masks = kCaptures / "neutral_single/masks";
    refused(options, "no mask belongs to a frame");
    options.input = loose.folder.path;
    refused(options, "expected a capture (a folder with cameras.npz with images/");
    options.input = loose.pictures / "000000.png";
    refused(options, "got one picture; give its folder");
    options.input = fit_path("wham.pkl");
    refused(options, "not a video");
    options.input = "/nosuch";
    refused(options, "there is no such capture, folder or video");
    // Where the layout needs the body.
    refused({.input = kCaptures / "zju_raw", .output = loose.out}, "convert: --body FILE");
}

TEST_CASE("a run that fails or is interrupted leaves nothing, and what was there as it was",
          "[convert]") {
    const Loose loose(numbered("", 0, 8));
    auto options = loose.options("wham.pkl");
    const auto stop = [](int64_t done, int64_t) {
        if (done == 3) throw Error("interrupted");
    };
    REQUIRE(throws_error([&] { convert(options, stop); }, "interrupted"));
    REQUIRE(loose.is_untouched());
    fs::resize_file(loose.pictures / "000006.png", 60);
    REQUIRE(throws_error([&] { convert(options); }, "000006.png: not a readable picture"));
    REQUIRE(loose.is_untouched());
    fs::remove(loose.pictures / "000006.png");
    convert(options);
    const auto before = read_whole(loose.out / "cameras.npz");
    REQUIRE(throws_error([&] { convert(options); }, "holds files already"));
    // What a process left that has ended goes with the next.
    fs::create_directories(loose.folder.path / ".out.99999999.partial/images");
    options.overwrite = true;
    REQUIRE(throws_error([&] { convert(options, stop); }, "interrupted"));
    REQUIRE(!fs::exists(loose.folder.path / ".out.99999999.partial"));
    REQUIRE(read_whole(loose.out / "cameras.npz") == before);
    // Only a capture is replaced, and never what is read.
    write_whole(loose.out / "notes.txt", "mine");
    REQUIRE(throws_error([&] { convert(options); }, "it also holds notes.txt"));
    options.output = loose.pictures;
    REQUIRE(throws_error([&] { convert(options); }, "lies in it, and is read"));
    options.output = loose.folder.path;
    REQUIRE(throws_error([&] { convert(options); }, "lies in it, and is read"));
    REQUIRE(read_whole(loose.out / "notes.txt") == "mine");
}

TEST_CASE("a name that leaves the folder is refused", "[convert]") {
    const TemporaryFolder folder;
    fs::copy(kCaptures / "nerfstudio", folder.path / "in", fs::copy_options::recursive);
    auto text = read_text(folder.path / "in/transforms.json");
    const std::string name = "./images/frame_00001.png";
    text.replace(text.find(name), name.size(), "../evil.png");
    write_whole(folder.path / "in/transforms.json", text);
    fs::copy(kCaptures / "nerfstudio/images/frame_00001.png", folder.path / "evil.png");
    ConvertOptions options{.input = folder.path / "in", .output = folder.path / "deep/out"};
    REQUIRE(throws_error([&] { convert(options); }, "expected a name that stays in its folder"));
    REQUIRE(!fs::exists(folder.path / "deep"));
}
