// What `render` draws: cameras of files, sizes of pictures, the canonical pose, and which camera
// goes with which pose.
#include <fmgs/core/body_model.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/run/shots.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <fstream>
#include <numbers>

#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

fs::path put(const fs::path& file, const std::string& text) {
    std::ofstream(file) << text;
    return file;
}

/// Camera → world with OpenGL's axes, row by row, as nerfstudio writes it.
std::vector<double> camera_to_world(const Camera& camera) {
    const auto R =
        camera.rotation.to(torch::kDouble).t() * torch::tensor({1.0, -1.0, -1.0}, torch::kDouble);
    const auto c =
        -torch::mv(camera.rotation.to(torch::kDouble).t(), camera.translation.to(torch::kDouble));
    const auto m = torch::cat({torch::cat({R, c.unsqueeze(1)}, 1),
                               torch::tensor({{0.0, 0.0, 0.0, 1.0}}, torch::kDouble)})
                       .contiguous();
    return {m.data_ptr<double>(), m.data_ptr<double>() + 16};
}

/// A camera path of these cameras, the focal length of the first.
std::string path_text(const std::vector<Camera>& cameras, const std::string& more = {}) {
    std::vector<std::string> entries;
    const auto height = static_cast<double>(cameras[0].height);
    const double focal = cameras[0].intrinsics[1].item<double>();
    for (const auto& camera : cameras)
        entries.push_back(
            fmt::format(R"({{"camera_to_world": [{:.17g}], "fov": {:.17g}, "aspect": 1.0}})",
                        fmt::join(camera_to_world(camera), ", "),
                        2 * std::atan(0.5 * height / focal) * 180 / std::numbers::pi));
    return fmt::format(R"({{"keyframes": [], "camera_type": "perspective", {}"render_height": {},
        "render_width": {}, "camera_path": [{}]}})",
                       more, cameras[0].height, cameras[0].width, fmt::join(entries, ", "));
}

/// A body with legs and where it was seen; its surfels are never asked for.
Drawable stand_in() {
    static const auto body = BodyModel(procedural_body({.cell = 0.04}), torch::zeros({0})).ptr();
    AvatarScene scene;
    scene.up = torch::tensor({0.F, -0.6F, -0.8F});
    scene.root = torch::tensor({0.3F, 0.2F, 3.F});
    scene.camera =
        Camera::look_at(torch::tensor({0.5F, 0.F, 0.F}), scene.root, scene.up, 60, 40, 50);
    scene.camera.low_pass = 0.6;
    scene.camera.near = 0.3;
    scene.frames = {"a"};
    scene.axis_angle = torch::zeros({1, body->joint_count(), 3});
    scene.translation = torch::tensor({{0.1F, 0.2F, 3.F}});
    return {body, scene, nullptr};
}

/// A motion of `count` poses of which each is somewhere else.
fs::path write_motion(const fs::path& file, int64_t count, double fps) {
    auto place = torch::zeros({count, 3});
    place.select(1, 0).copy_(0.01 * torch::arange(count));
    const auto angles = torch::zeros({count, 72});
    write_npz(file, {{"global_orient", npy_array(angles.slice(1, 0, 3).contiguous())},
                     {"body_pose", npy_array(angles.slice(1, 3).contiguous())},
                     {"transl", npy_array(place)},
                     {"fps", npy_array(torch::tensor(fps))}});
    return file;
}

void check_same(const Camera& a, const Camera& b, double tolerance) {
    CHECK(distance(a.rotation, b.rotation) <= tolerance);
    CHECK(distance(a.translation, b.translation) <= tolerance);
    CHECK(distance(a.intrinsics, b.intrinsics) <= tolerance);
    CHECK(a.width == b.width);
    CHECK(a.height == b.height);
}

}  // namespace

TEST_CASE("a camera path of nerfstudio has OpenGL's axes and the angle over the height",
          "[shots]") {
    const TemporaryFolder folder;
    const auto file = put(folder.path / "path.json", R"({"render_height": 100, "render_width": 160,
        "fps": 30, "camera_path": [{"camera_to_world": [1,0,0,1, 0,1,0,2, 0,0,1,3, 0,0,0,1],
        "fov": 90, "aspect": 7}]})");
    const auto list = read_cameras(file);
    REQUIRE(list.cameras.size() == 1);
    CHECK(list.fps == 30);
    const auto& camera = list.cameras[0];
    REQUIRE_CLOSE(camera.intrinsics, torch::tensor({50.0, 50.0, 80.0, 50.0}), 1e-6);
    REQUIRE_CLOSE(camera.center(), torch::tensor({1.0, 2.0, 3.0}), 1e-6);
    // What is before it, to the right and above: down is positive in the picture.
    REQUIRE_CLOSE(camera.to_camera(torch::tensor({{1.1F, 2.2F, 1.F}})),
                  torch::tensor({{0.1F, -0.2F, 2.F}}), 1e-6);
    // Without a width, the aspect; without a rate, none.
    const auto narrow = read_cameras(put(folder.path / "narrow.json", R"({"render_height": 100,
        "camera_path": [{"camera_to_world": [[1,0,0,1], [0,1,0,2], [0,0,1,3], [0,0,0,1]],
        "fov": 90, "aspect": 1.5}]})"));
    CHECK(narrow.cameras[0].width == 150);
    CHECK_FALSE(narrow.fps);
}

TEST_CASE("a camera path is the cameras that it was written of", "[shots]") {
    const TemporaryFolder folder;
    const auto scene = stand_in().scene;
    const auto cameras = turntable(scene.camera, scene.root, scene.up, 3);
    const auto list = read_cameras(put(folder.path / "path.json", path_text(cameras)));
    REQUIRE(list.cameras.size() == 3);
    for (size_t k = 0; k < 3; ++k) check_same(list.cameras[k], cameras[k], 1e-6);
    const auto one = view_cameras(folder.path / "path.json", 2);
    REQUIRE(one.cameras.size() == 1);
    check_same(one.cameras[0], cameras[2], 1e-6);
    CHECK(throws_error([&] { view_cameras(folder.path / "path.json", 3); },
                       "--view: expected a number from 0 to 2"));
}

TEST_CASE("a camera path that is none is refused with its place", "[shots]") {
    const TemporaryFolder folder;
    const std::string matrix = "[1,0,0,1, 0,1,0,2, 0,0,1,3, 0,0,0,1]";
    const auto with = [&](const std::string& m, const std::string& fov = "50",
                          const std::string& head = R"("render_height": 64, "render_width": 64)") {
        return fmt::format(R"({{{}, "camera_path": [{{"camera_to_world": {}, "fov": {}}}]}})", head,
                           m, fov);
    };
    for (const auto& [text, words] : std::vector<std::pair<std::string, std::string>>{
             {with("[-1,0,0,1, 0,1,0,2, 0,0,1,3, 0,0,0,1]"), "a scale or a mirror is in it"},
             {with("[1,0,0,0, 0,1,0,0, 0,0,1,0, 1,2,3,1]"), "is it transposed?"},
             {with("[1,0,0,1e999, 0,1,0,2, 0,0,1,3, 0,0,0,1]"), "path.json"},
             {with("[1,0,0]"), "camera_path[0]: camera_to_world: expected 12 or 16 numbers"},
             {with(matrix, "0"), "fov: expected degrees between 0 and 180, got 0"},
             {with(matrix, "50", R"("render_width": 64)"), "expected 'render_height'"},
             {with(matrix, "50", R"("render_height": 64)"), "expected 'aspect'"},
             {with(matrix, "50", R"("camera_type": "fisheye", "render_height": 64)"),
              "camera_type: expected perspective, got fisheye"},
             {with(matrix, "50", R"("fps": 0, "render_height": 64, "render_width": 64)"),
              "fps: expected a number more than 0"},
             {R"({"camera_path": [], "render_height": 64})", "expected cameras, found none"},
             {R"({"path": 3})", "its camera path (camera_path)"},
             {"camera_path", "path.json"}}) {
        INFO(text);
        CHECK(throws_error([&] { read_cameras(put(folder.path / "path.json", text)); }, words));
    }
}

TEST_CASE("a size keeps in the picture all that the camera saw, in the middle", "[shots]") {
    const auto camera = stand_in().scene.camera;  // 40x50
    const auto larger = PictureSize::of("100").applied(camera);
    CHECK(larger.width == 80);
    CHECK(larger.height == 100);
    check_same(larger, camera.scaled(2), 0);
    check_same(PictureSize::of("80x100").applied(camera), camera.scaled(2), 1e-7);
    const auto wide = PictureSize::of("200x100").applied(camera);
    CHECK(wide.width == 200);
    REQUIRE_CLOSE(wide.intrinsics, camera.intrinsics * 2 + torch::tensor({0.F, 0.F, 60.F, 0.F}),
                  1e-6);
    const auto high = PictureSize::of("20x100").applied(camera);
    CHECK(high.height == 100);
    REQUIRE_CLOSE(high.intrinsics, camera.intrinsics * 0.5 + torch::tensor({0.F, 0.F, 0.F, 37.5F}),
                  1e-6);
    for (const auto* text : {"", "0", "15", "8193", "-64", "nan", "6.5", "64x", "x64", "64x9000",
                             "64x64x64", "64X64", " 64"}) {
        INFO(text);
        CHECK(throws_error([&] { PictureSize::of(text); }, "--size: expected N or WxH"));
    }
}

TEST_CASE("the canonical pose moves the canonical template as one piece, before the camera",
          "[shots]") {
    const auto avatar = stand_in();
    const auto& scene = avatar.scene;
    const auto bones = avatar.body->bones(canonical_pose(scene, *avatar.body));
    REQUIRE_CLOSE(bones, bones.slice(0, 0, 1).expand_as(bones), 1e-5);
    const auto turn = bones[0].slice(0, 0, 3).slice(1, 0, 3);
    const auto place = bones[0].slice(0, 0, 3).select(1, 3);
    REQUIRE_CLOSE(torch::mv(turn, avatar.body->joints()[0]) + place, scene.root, 1e-5);
    REQUIRE_CLOSE(turn.select(1, 1), scene.up, 1e-5);
    // The front looks where the camera is, but for what is above or below.
    auto ahead = scene.camera.center() - scene.root;
    ahead = ahead - scene.up * ahead.dot(scene.up);
    REQUIRE_CLOSE(turn.select(1, 2), ahead / ahead.norm(), 1e-5);
}

TEST_CASE("without a motion one pose is seen all around, or from every camera", "[shots]") {
    const TemporaryFolder folder;
    const auto avatar = stand_in();
    const auto& scene = avatar.scene;
    const auto orbit = plan_sequence(avatar, {.orbit = 4});
    CHECK(orbit.name == "orbit");
    CHECK(orbit.fps == 24);
    REQUIRE(orbit.shots.size() == 4);
    check_same(orbit.shots[0].camera, scene.camera, 1e-6);
    for (const auto& shot : orbit.shots)
        REQUIRE_CLOSE(shot.pose.translation, scene.translation[0], 0);

    const auto rest = plan_sequence(avatar, {.rest = true, .orbit = 4, .fps = 10});
    CHECK(rest.name == "rest");
    CHECK(rest.fps == 10);
    REQUIRE(rest.shots.size() == 4);
    CHECK(rest.shots[3].pose.bones.defined());
    // The opposite camera sees the root where the first one does.
    const auto seen = [&](size_t k) {
        return rest.shots[k].camera.to_camera(scene.root.view({1, 3}));
    };
    REQUIRE_CLOSE(seen(2), seen(0), 1e-5);

    auto cameras = turntable(scene.camera, scene.root, scene.up, 5);
    const auto path = put(folder.path / "tour.json", path_text(cameras, R"("fps": 12, )"));
    const auto tour = plan_sequence(
        avatar, {.camera = path, .stride = 2, .size = PictureSize::of("25"), .fps = {}});
    CHECK(tour.name == "tour");
    CHECK(tour.fps == 6);
    REQUIRE(tour.shots.size() == 3);
    check_same(tour.shots[1].camera, cameras[2].scaled(0.5), 1e-6);
    CHECK(tour.shots[1].camera.low_pass == 0.6);
    CHECK(tour.shots[1].camera.near == 0.3);
}

TEST_CASE("camera k sees pose k, one camera all of them, and the shorter is said", "[shots]") {
    const TemporaryFolder folder;
    const auto avatar = stand_in();
    const auto& scene = avatar.scene;
    const auto motion = write_motion(folder.path / "walk.npz", 7, 30);
    const auto plain = plan_sequence(avatar, {.motion = motion, .frames = 3});
    CHECK(plain.name == "walk");
    CHECK(plain.fps == 30);
    REQUIRE(plain.shots.size() == 3);
    const auto cameras = turntable(scene.camera, scene.root, scene.up, 5);
    const auto path = put(folder.path / "tour.json", path_text(cameras));
    const auto both = plan_sequence(avatar, {.motion = motion, .camera = path});
    CHECK(both.name == "walk_tour");
    REQUIRE(both.shots.size() == 5);
    CHECK(both.notes.back() == "note: 5 cameras and 7 poses: the first 5 of both are drawn");
    check_same(both.shots[4].camera, cameras[4], 1e-6);
    REQUIRE_CLOSE(both.shots[2].pose.translation, plain.shots[2].pose.translation, 0);
    const auto one = plan_sequence(avatar, {.motion = motion, .camera = path, .view = 1});
    REQUIRE(one.shots.size() == 7);
    check_same(one.shots[6].camera, cameras[1], 1e-6);
}

TEST_CASE("a motion at another rate keeps its speed", "[shots]") {
    const TemporaryFolder folder;
    const auto avatar = stand_in();
    const auto motion = write_motion(folder.path / "walk.npz", 7, 30);
    const auto slow = plan_sequence(avatar, {.motion = motion, .fps = 15});
    CHECK(slow.fps == 15);
    REQUIRE(slow.shots.size() == 4);
    const auto whole = plan_sequence(avatar, {.motion = motion});
    REQUIRE_CLOSE(slow.shots[3].pose.translation, whole.shots[6].pose.translation, 1e-6);
    // A path that says its rate is the measure; --fps counts more.
    const auto& scene = avatar.scene;
    const auto path =
        put(folder.path / "tour.json",
            path_text(turntable(scene.camera, scene.root, scene.up, 4), R"("fps": 15, )"));
    CHECK(plan_sequence(avatar, {.motion = motion, .camera = path})
              .notes.back()
              .starts_with("note: its 30 poses a second are drawn as 15"));
    CHECK(plan_sequence(avatar, {.motion = motion, .camera = path, .fps = 30}).fps == 30);
    for (const double fps : {0.0, 0.5, 1001.0, -3.0, std::nan("")})
        CHECK(throws_error([&] { plan_sequence(avatar, {.motion = motion, .fps = fps}); },
                           "--fps: expected a number from 1 to 1000"));
    const auto slowest = write_motion(folder.path / "slow.npz", 7, 1e-6);
    CHECK(throws_error([&] { plan_sequence(avatar, {.motion = slowest, .fps = 30}); },
                       "give a smaller --fps"));
}
