// One subject in every layout that people have: the same cameras, poses and pictures. The files are
// Python's (tests/data/make_captures.py).
#include <fmgs/core/body_model.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/capture.h>
#include <fmgs/data/capture_reader.h>
#include <fmgs/data/split_list.h>

#include <fstream>
#include <set>

#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

const fs::path kCaptures = fs::path(FMGS_SOURCE_DIR) / "tests/data/captures";

CaptureOptions subject(const std::string& name) {
    CaptureOptions out;
    out.root = (kCaptures / name).string();
    out.body = (kCaptures / "body.npz").string();
    return out;
}

const Capture& neutral() {
    static const Capture kNeutral = read_capture(subject("neutral"));
    return kNeutral;
}

/// How exact a layout is.
struct Exactness {
    double pose = 1e-5;
    double color = 1e-6;     ///< JPEG: two levels
    bool same_world = true;  ///< else only what the camera sees is the same
};
constexpr double kJpeg = 2.5 / 255;

/// The root's place and orientation before the camera.
std::pair<torch::Tensor, torch::Tensor> seen(const Frame& frame, const torch::Tensor& rest) {
    const auto& R = frame.camera.rotation;
    return {torch::matmul(R, frame.pose.rotations[0]),
            torch::mv(R, rest + frame.pose.translation) + frame.camera.translation};
}

void require_same(const Capture& a, const Frame& got, const Frame& truth, const Exactness& exact) {
    INFO(got.name);
    const auto body = read_body(kCaptures / "body.npz");
    const auto rest = BodyModel(body, neutral().betas)->joints()[0];
    REQUIRE_CLOSE(a.betas, neutral().betas, 1e-4);
    const auto [R, x] = seen(got, BodyModel(body, a.betas)->joints()[0]);
    const auto [R_truth, x_truth] = seen(truth, rest);
    REQUIRE_CLOSE(R, R_truth, exact.pose);
    REQUIRE_CLOSE(x, x_truth, exact.pose);
    if (exact.same_world) {
        REQUIRE_CLOSE(got.camera.rotation, truth.camera.rotation, exact.pose);
        REQUIRE_CLOSE(got.camera.translation, truth.camera.translation, exact.pose);
    }
    REQUIRE_CLOSE(got.camera.intrinsics, truth.camera.intrinsics, 1e-5);
    REQUIRE((got.camera.width == 32 && got.camera.height == 24));
    REQUIRE_CLOSE(got.pose.rotations.slice(0, 1), truth.pose.rotations.slice(0, 1), exact.pose);
    REQUIRE_CLOSE(got.maps.at("mask"), truth.maps.at("mask"), 0);
    const auto away = (got.maps.at("color") - truth.maps.at("color")).abs().max();
    REQUIRE(away.item<double>() <= exact.color);
}

/// Frame f before the first camera.
Frame truth_of(size_t f) { return neutral().splits.at("train")[f]; }

Capture require_train(const std::string& name, const Exactness& exact,
                      const std::vector<size_t>& frames = {0, 1, 2}) {
    INFO(name);
    const auto capture = read_capture(subject(name), {}, {{"train"}});
    const auto& train = capture.splits.at("train");
    REQUIRE(train.size() == frames.size());
    for (size_t i = 0; i < frames.size(); ++i)
        require_same(capture, train[i], truth_of(frames[i]), exact);
    return capture;
}

bool has_note(const Capture& capture, const std::string& words) {
    for (const auto& note : capture.notes)
        if (note.find(words) != std::string::npos) return true;
    return false;
}

}  // namespace

TEST_CASE("the neutral layout: several cameras, poses linked by frame_ids", "[layouts]") {
    const auto& capture = neutral();
    REQUIRE(capture.splits.size() == 2);
    REQUIRE(capture.splits.at("train").size() == 3);
    REQUIRE(capture.splits.at("train")[1].name == "1/000001");
    const auto& view = capture.splits.at("test_view");
    REQUIRE(view.size() == 1);  // every 30th
    REQUIRE((view[0].name == "2/000000" && view[0].index == 0));
    REQUIRE_CLOSE(view[0].camera.intrinsics, torch::tensor({38.f, 38.f, 14.f, 13.f}), 0);
    REQUIRE_CLOSE(truth_of(0).camera.intrinsics, torch::tensor({40.f, 41.f, 17.5f, 10.25f}), 0);
    REQUIRE_CLOSE(truth_of(2).pose.translation, torch::tensor({-0.3f, 0.f, 4.f}), 1e-6);
    auto other = subject("neutral");
    other.camera = "2";
    REQUIRE(read_capture(other).splits.at("train")[0].name == "2/000000");
    other.camera = "3";
    REQUIRE(throws_error([&] { read_capture(other); }, "data.camera"));
}

TEST_CASE("trap 24: intrinsics per frame, and principal points off the middle", "[layouts]") {
    const auto capture = read_capture(subject("neutral_single"));
    const auto& train = capture.splits.at("train");
    REQUIRE(train.size() == 3);  // one of four is not valid
    REQUIRE(has_note(capture, "1 of 4 frames are not valid"));
    // frame_names: 2, 0, 1
    const std::vector<size_t> order = {2, 0, 1};
    const std::vector<float> scale = {0.5, 1, 1.25};
    for (size_t i = 0; i < 3; ++i) {
        auto truth = truth_of(order[i]);
        truth.camera.intrinsics = torch::tensor({40.f, 41.f, 17.5f, 10.25f}) * scale[i];
        require_same(capture, train[i], truth, {});
    }
}

TEST_CASE("trap 12: rows of a split's file belong to the numbers of a published list",
          "[layouts]") {
    auto options = subject("instant_avatar");
    options.splits = (kCaptures / "instant_avatar.txt").string();
    const auto capture = read_capture(options);
    REQUIRE(capture.splits.at("train")[1].name == "image_0004");
    REQUIRE(capture.splits.at("test")[0].name == "image_0008");
    require_same(capture, capture.splits.at("train")[1], truth_of(1), {});
    require_same(capture, capture.splits.at("test")[0], truth_of(2), {});
    REQUIRE(has_note(capture, "no pixel_center"));
    options.splits.clear();
    REQUIRE(throws_error([&] { read_capture(options); }, "data.splits"));
}

TEST_CASE("traps 9 and 10: ZJU-MoCap raw, T in millimetres, Rh and Th about the origin",
          "[layouts]") {
    const auto capture = require_train("zju_raw", {.color = kJpeg});
    REQUIRE(capture.splits.at("train")[0].name == "Camera_B1/000000");
    REQUIRE(has_note(capture, "half a pixel was added"));
    const auto views = read_capture(subject("zju_raw")).splits.at("test_view");
    require_same(capture, views[0], neutral().splits.at("test_view")[0], {.color = kJpeg});
    auto bare = subject("zju_raw");
    bare.body.clear();
    REQUIRE(throws_error([&] { read_capture(bare); }, "set data.body"));
}

TEST_CASE("trap 11: names and parameters that count from 1, matrices as lists", "[layouts]") {
    require_train("zju_313", {.color = kJpeg});
    REQUIRE(require_train("anim_nerf", {}).splits.at("train")[0].name == "000001");
}

TEST_CASE("ZJU-MoCap refined: backslashes, 16 betas, rotations of four digits", "[layouts]") {
    // The betas beyond ten are another model's; rounded rotations turn by 1e-4.
    auto capture = read_capture(subject("zju_refined"), {}, {{"train"}});
    REQUIRE(capture.betas.size(0) == 10);
    capture = require_train("zju_refined", {.pose = 5e-4, .color = kJpeg});
    const auto R = capture.splits.at("train")[0].camera.rotation.to(torch::kDouble);
    REQUIRE_CLOSE(torch::matmul(R, R.t()), torch::eye(3, torch::kDouble), 1e-6);
}

TEST_CASE("ZJU-MoCap in ARAH's layout: masks in colour beside the pictures", "[layouts]") {
    require_train("arah", {.color = kJpeg});
}

TEST_CASE("PeopleSnapshot in ARAH's layout: pictures by place, betas of the train split",
          "[layouts]") {
    // Names of pictures count from 1, those of poses from 0; the last frame has other betas.
    const TemporaryFolder folder;
    std::ofstream(folder.path / "list.txt") << "arah_snapshot train 1 0 1 1\n"
                                               "arah_snapshot test 1 2 2 1\n";
    auto options = subject("arah_snapshot");
    options.splits = (folder.path / "list.txt").string();
    const auto capture = read_capture(options);
    REQUIRE(capture.splits.at("train")[0].name == "000001");
    for (size_t i = 0; i < 2; ++i)
        require_same(capture, capture.splits.at("train")[i], truth_of(i), {.color = kJpeg});
    require_same(capture, capture.splits.at("test")[0], truth_of(2), {.color = kJpeg});
    REQUIRE(has_note(capture, "other betas than the train split's"));

    // With the frames alone that are used: by number.
    fs::copy(options.root, folder.path / "arah_snapshot", fs::copy_options::recursive);
    options.root = (folder.path / "arah_snapshot").string();
    for (const auto& [from, to] : {std::pair{"000001", "000000"}, std::pair{"000003", "000002"}}) {
        fs::rename(fs::path(options.root) / "image" / (std::string(from) + ".jpg"),
                   fs::path(options.root) / "image" / (std::string(to) + ".jpg"));
        fs::rename(fs::path(options.root) / "mask" / (std::string(from) + ".png"),
                   fs::path(options.root) / "mask" / (std::string(to) + ".png"));
    }
    options.splits.clear();
    const auto used = read_capture(options);
    REQUIRE(used.splits.at("train").size() == 2);
    REQUIRE(used.splits.at("train")[1].name == "000002");
    REQUIRE(has_note(used, "1 of 3 poses have no picture and are left out"));
    const auto body = BodyModel(read_body(options.body), used.betas);
    REQUIRE_CLOSE(seen(used.splits.at("train")[1], body->joints()[0]).first,
                  seen(truth_of(2), body->joints()[0]).first, 1e-5);
}

TEST_CASE("the body is read once, and comes with the capture", "[layouts]") {
    const auto expected = read_body(kCaptures / "body.npz");
    for (const char* name : {"neutral", "zju_raw"}) {
        const auto capture = read_capture(subject(name), {}, {{"train"}});
        REQUIRE(capture.body);
        REQUIRE(torch::equal(capture.body->vertices, expected.vertices));
    }
    auto bare = subject("neutral");
    bare.body.clear();
    REQUIRE(!read_capture(bare, {}, {{"train"}}).body);
}

TEST_CASE("HumanNeRF: prepared, with GoMAvatar's keys, wild, and wild prepared", "[layouts]") {
    REQUIRE(has_note(require_train("humannerf", {}), "no betas in it"));
    require_train("gomavatar", {});
    require_train("humannerf_wild", {.same_world = false});
    REQUIRE(has_note(require_train("humannerf_wild_prepared", {}), "about the pelvis"));
}

TEST_CASE("PeopleSnapshot as released: frames of a video, masks of LZF chunks, the tail of pose",
          "[layouts]") {
    REQUIRE(has_note(require_train("people_snapshot", {}), "2 rows more than masks"));
}

TEST_CASE("trap 13: NeuMan, a scale per frame, masks of the background, splits by name",
          "[layouts]") {
    const auto capture = require_train("neuman", {}, {0, 1});
    const auto whole = read_capture(subject("neuman"));
    require_same(whole, whole.splits.at("test")[0], truth_of(2), {});
}

TEST_CASE("COLMAP's models as text and binary, and nerfstudio's transforms.json", "[layouts]") {
    require_train("colmap_text", {});
    require_train("colmap_binary", {});
    require_train("nerfstudio", {});
}

TEST_CASE("poses.npz may place the person by Rh and Th, whoever has the cameras", "[layouts]") {
    for (const std::string layout : {"nerfstudio", "neutral_single"}) {
        INFO(layout);
        const TemporaryFolder folder;
        fs::copy(kCaptures / layout, folder.path, fs::copy_options::recursive);
        auto options = subject(layout);
        const auto expected = read_capture(options);
        options.root = folder.path.string();
        auto arrays = read_npz(folder.path / "poses.npz");
        const auto poses = read_pose_file(folder.path / "poses.npz");
        const auto rest = BodyModel(read_body(options.body), poses.betas)->joints()[0];
        const auto turned =
            torch::matmul(exp_map(poses.global_orient), rest.unsqueeze(1)).squeeze(2);
        const auto nothing = torch::zeros_like(poses.global_orient);
        arrays["poses"] = npy_array(torch::cat({nothing, poses.body_pose}, 1));
        arrays["Rh"] = npy_array(poses.global_orient);
        arrays["Th"] = npy_array(poses.transl + rest - turned);
        for (const char* key : {"global_orient", "body_pose", "thetas", "transl", "trans"})
            arrays.erase(key);
        write_npz(folder.path / "poses.npz", arrays);
        const auto got = read_capture(options);
        for (size_t i = 0; i < expected.splits.at("train").size(); ++i) {
            const auto &a = got.splits.at("train")[i].pose,
                       &b = expected.splits.at("train")[i].pose;
            REQUIRE_CLOSE(a.rotations, b.rotations, 1e-5);
            REQUIRE_CLOSE(a.translation, b.translation, 1e-5);
        }
        options.body.clear();
        REQUIRE(throws_error([&] { read_capture(options); }, "set data.body=FILE"));
    }
}

TEST_CASE("EasyMocap: CRLF, two persons, 69 pose values below annots", "[layouts]") {
    REQUIRE(has_note(require_train("easymocap", {.color = kJpeg}), "2 persons; 3 is taken"));
}

TEST_CASE("trap 25: X-Humans with rotation matrices, the mean shape and two takes", "[layouts]") {
    require_train("x_humans", {}, {0, 1});
    const auto whole = read_capture(subject("x_humans"));
    require_same(whole, whole.splits.at("test")[0], truth_of(2), {});
}

TEST_CASE("4D-DRESS: several cameras, frames by the scans' numbers", "[layouts]") {
    REQUIRE(require_train("dress4d", {}).splits.at("train")[0].name == "0004/f00011");
}

TEST_CASE("every layout has a name of its own, and a folder of none lists them", "[layouts]") {
    std::set<std::string> names;
    for (const auto& layout : layouts()) names.insert(layout.name);
    REQUIRE(names.size() == layouts().size());
    TemporaryFolder folder;
    CaptureOptions options;
    options.root = folder.path.string();
    REQUIRE(throws_error([&] { read_capture(options); }, "annots.npy (ZJU-MoCap"));
}

TEST_CASE("the lists of Tables 1 and 2 take the frames that their protocols publish", "[layouts]") {
    const auto lists = fs::path(FMGS_SOURCE_DIR) / "configs/splits";
    const auto count = [&](const std::string& list, const std::string& subject,
                           const std::string& split, int64_t frames) {
        int64_t n = 0;
        for (const auto& rule : read_split_list(lists / list, subject))
            for (int64_t k = 0; k < frames; ++k)
                n += rule.split == split && rule.holds(rule.first_camera - 1, k);
        return n;
    };
    // The rows of Anim-NeRF's pose files.
    const auto snapshot = [&](const std::string& subject, int64_t train, int64_t test) {
        REQUIRE(count("people_snapshot.txt", subject, "train", 900) == train);
        REQUIRE(count("people_snapshot.txt", subject, "test", 900) == test);
    };
    snapshot("male-3-casual", 114, 55);
    snapshot("male-4-casual", 110, 36);
    snapshot("female-3-casual", 112, 51);
    snapshot("female-4-casual", 84, 48);
    for (const char* subject : {"377", "386", "387", "392", "393", "394"}) {
        const auto rules =
            read_split_list(lists / "zju_mocap.txt", std::string("CoreView_") + subject);
        REQUIRE(rules.size() == 2);
        REQUIRE((rules[0].holds(0, 1) && !rules[0].holds(1, 0)));
        REQUIRE((rules[1].holds(22, 30) && !rules[1].holds(22, 31) && !rules[1].holds(0, 0)));
    }
    REQUIRE(count("zju_mocap.txt", "CoreView_377", "train", 900) == 570);
}

TEST_CASE("a list of splits that is none is refused with the line", "[layouts]") {
    TemporaryFolder folder;
    const auto list = folder.path / "list.txt";
    for (const auto& [line, words] : std::vector<std::pair<std::string, std::string>>{
             {"a train 1 0 9", "list.txt:2: expected SUBJECT SPLIT CAMERAS FIRST LAST STEP, got 5"},
             {"a trian 1 0 9 1", "the nearest is 'train'"},
             {"a train 0 0 9 1", "cameras: expected a whole number of at least 1, got '0'"},
             {"a train 3-2 0 9 1", "cameras: expected a whole number of at least 3, got '2'"},
             {"a train 1 9 0 1", "last frame"},
             {"a train 1 0 9 0", "step"},
             {"a train 1 0 99999999999999999999 1", "last frame"}}) {
        std::ofstream(list) << "# comment\n" << line << "\n";
        REQUIRE(throws_error([&] { read_split_list(list, "a"); }, words));
    }
    // A list by place of camera, on a capture of two.
    auto options = subject("neutral");
    std::ofstream(list) << "neutral train 2 1 - 1\nneutral test 1- 0 0 1  # both\n";
    options.splits = list.string();
    const auto capture = read_capture(options);
    REQUIRE(capture.splits.at("train").size() == 2);
    REQUIRE(capture.splits.at("train")[0].name == "2/000001");
    REQUIRE(capture.splits.at("test").size() == 2);
    std::ofstream(list) << "someone train 1 0 9 1\n";
    REQUIRE(has_note(read_capture(options), "no line for 'neutral'"));
}
