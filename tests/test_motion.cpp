#include <fmgs/core/io/npz.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/motion.h>

#include "support/fits.h"

using namespace fmgs;
using fmgs::test::TemporaryFolder;
using fmgs::test::throws_error;

namespace {

torch::Tensor vector(double x, double y, double z) {
    return torch::tensor({x, y, z}, torch::kFloat);
}

const Body& body() {
    static const BodyModel kBody = test::stick_body(test::FitTruth().joints);
    return *kBody;
}

torch::Tensor turn(double x, double y, double z) {
    return exp_map(vector(x, y, z).unsqueeze(0))[0];
}

// A person walking two steps of 1 m along `step`, root orientation `root` (axis-angle).
NpzFile walk(const torch::Tensor& root, const torch::Tensor& step, int64_t columns) {
    auto poses = torch::zeros({3, columns}, torch::kDouble);
    poses.slice(1, 0, 3).copy_(root);
    poses.slice(1, 63, 66).fill_(0.25);                      // joint 21
    if (columns > 66) poses.slice(1, 66, columns).fill_(1);  // fingers
    const auto place = torch::stack({step * 0, step, step * 2}).to(torch::kDouble) + 0.5;
    return {{"poses", npy_array(poses)}, {"trans", npy_array(place)}};
}

Camera front_camera() { return {torch::eye(3), torch::zeros(3), vector(100, 100, 50), 100, 100}; }

Placement placement() {
    Placement out;
    out.rest_root = vector(0, -0.2, 0.03);
    out.position = vector(0.1, 0.2, 5);
    return out;
}

}  // namespace

TEST_CASE("AMASS rows give 22 joints; fingers never reach the hand joints", "[motion]") {
    TemporaryFolder folder;
    auto file = walk(vector(M_PI / 2, 0, 0), vector(0, -1, 0), 156);
    file["mocap_framerate"] = npy_array(torch::tensor(120.0, torch::kDouble));
    write_npz(folder.path / "amass.npz", file);
    const auto motion = read_motion(folder.path / "amass.npz", body());
    REQUIRE(motion.poses.size() == 3);
    REQUIRE(motion.fps == 120);
    REQUIRE_CLOSE(motion.up, vector(0, 0, 1), 0);
    REQUIRE_CLOSE(motion.poses[0].rotations[21], turn(0.25, 0.25, 0.25), 1e-6);
    REQUIRE_CLOSE(motion.poses[0].rotations[22], torch::eye(3), 0);
    REQUIRE_CLOSE(motion.poses[0].rotations[23], torch::eye(3), 0);
    REQUIRE(motion.description.find("AMASS") != std::string::npos);
}

TEST_CASE("a motion of other joints than the body's is refused by number", "[motion]") {
    TemporaryFolder folder;
    write_npz(folder.path / "rig.npz", walk(vector(0, 0, 0), vector(1, 0, 0), 90));
    REQUIRE(throws_error([&] { read_motion(folder.path / "rig.npz", body()); },
                         "rig.npz: expected poses of 24 joints, as the avatar's body has, or of "
                         "its first 22, got 30 (poses [3,90])"));
}

TEST_CASE("where a file does not say which way is up, the spine does", "[motion]") {
    TemporaryFolder folder;
    const auto file = folder.path / "dance.npz";
    write_npz(file, walk(vector(M_PI - 0.1, 0.2, 0), vector(1, 0, 0), 72));
    REQUIRE_CLOSE(read_motion(file, body()).up, vector(0, -1, 0), 0);  // already turned to a camera
    write_npz(file, walk(vector(0.1, 0.3, 0), vector(1, 0, 0), 72));
    REQUIRE_CLOSE(read_motion(file, body()).up, vector(0, 1, 0), 0);
    REQUIRE(read_motion(file, body()).description.find("by the spine") != std::string::npos);
}

TEST_CASE("AIST++ translations are divided by the scale of the fit", "[motion]") {
    TemporaryFolder folder;
    auto file = walk(vector(0, 0, 0), vector(0, 0, 90), 72);
    file["smpl_poses"] = file["poses"];
    file["smpl_trans"] = file["trans"];
    file.erase("poses");
    file.erase("trans");
    file["smpl_scaling"] = npy_array(torch::tensor({90.0}, torch::kDouble));
    write_npz(folder.path / "aist.npz", file);
    const auto motion = read_motion(folder.path / "aist.npz", body());
    REQUIRE_CLOSE(motion.poses[1].translation - motion.poses[0].translation, vector(0, 0, 1), 1e-6);
    REQUIRE_CLOSE(motion.up, vector(0, 1, 0), 0);
}

TEST_CASE("a placed motion starts at the place, upright, facing the camera, and walks the same way",
          "[motion]") {
    TemporaryFolder folder;
    struct Case {
        const char* name;
        torch::Tensor root, step;  // facing the way of the step
        bool amass;
    };
    // SMPL faces +z and stands along +y at rest; z up: turned by 90 degrees about x it faces -y.
    const Case cases[] = {{"y up, facing z", vector(0, 0, 0), vector(0, 0, 1), false},
                          {"y up, facing x", vector(0, M_PI / 2, 0), vector(1, 0, 0), false},
                          {"z up, facing -y", vector(M_PI / 2, 0, 0), vector(0, -1, 0), true},
                          {"y down, facing -z", vector(M_PI, 0, 0), vector(0, 0, -1), false},
                          {"y down, facing z", vector(0, 0, M_PI), vector(0, 0, 1), false}};
    for (const auto& c : cases) {
        INFO(c.name);
        auto file = walk(c.root, c.step, c.amass ? 156 : 72);
        write_npz(folder.path / "m.npz", file);
        auto camera = front_camera();
        const auto placed =
            place_motion(read_motion(folder.path / "m.npz", body()), camera, placement());
        // World of a first camera: up is -y; from (0.1,0.2,5) the camera lies along (-0.1,0,-5),
        // levelled.
        const auto to_camera = vector(-0.1, 0, -5) / std::hypot(0.1, 5.0);
        REQUIRE_CLOSE(placed[0].translation + placement().rest_root, placement().position, 1e-6);
        REQUIRE_CLOSE(placed[0].rotations[0].select(1, 1), vector(0, -1, 0), 1e-5);
        REQUIRE_CLOSE(placed[0].rotations[0].select(1, 2), to_camera, 1e-5);
        REQUIRE_CLOSE(placed[2].translation - placed[0].translation, 2 * to_camera, 1e-5);
        REQUIRE_CLOSE(torch::det(placed[1].rotations), torch::ones(24), 1e-5);
        REQUIRE_CLOSE(placed[1].rotations[21], turn(0.25, 0.25, 0.25), 1e-6);
    }
}

TEST_CASE("without turning, a motion that is upright already keeps its orientation", "[motion]") {
    TemporaryFolder folder;
    write_npz(folder.path / "m.npz", walk(vector(M_PI, 0, 0), vector(1, 0, 0), 72));
    const auto motion = read_motion(folder.path / "m.npz", body());
    auto place = placement();
    place.face_camera = false;
    const auto placed = place_motion(motion, front_camera(), place);
    REQUIRE_CLOSE(placed[1].rotations, motion.poses[1].rotations, 1e-6);
    REQUIRE_CLOSE(placed[1].translation - placed[0].translation, vector(1, 0, 0), 1e-6);
}

TEST_CASE("resampling halves an arc, and keeps both ends", "[motion]") {
    Motion motion;
    motion.fps = 10;
    motion.up = vector(0, 1, 0);
    for (const double angle : {0.0, 1.0, 2.0}) {
        motion.poses.push_back({turn(0, angle, 0).expand({24, 3, 3}).clone(), vector(angle, 0, 0)});
    }
    const auto fine = resampled(motion, 20);
    REQUIRE(fine.poses.size() == 5);
    REQUIRE_CLOSE(fine.poses[1].rotations[7], turn(0, 0.5, 0), 1e-6);
    REQUIRE_CLOSE(fine.poses[1].translation, vector(0.5, 0, 0), 1e-6);
    REQUIRE_CLOSE(fine.poses[4].rotations, motion.poses[2].rotations, 1e-6);
    REQUIRE(resampled(motion, 5).poses.size() == 2);
    REQUIRE(throws_error([&] { resampled(motion, 0); }, "positive rate"));
}

TEST_CASE("the place of a capture's person is the median of its root joints", "[motion]") {
    std::vector<Frame> frames(3);
    for (size_t i = 0; i < 3; ++i)
        frames[i].pose.translation = vector(static_cast<double>(i * i), 0, 5);
    REQUIRE_CLOSE(median_root(frames, vector(0, -0.2, 0)), vector(1, -0.2, 5), 1e-6);
}

TEST_CASE("a motion file without poses, with bad rows or a bad rate is an Error naming it",
          "[motion]") {
    TemporaryFolder folder;
    const auto path = folder.path / "m.npz";
    const auto refused = [&](const NpzFile& file, const std::string& words) {
        write_npz(path, file);
        return throws_error([&] { read_motion(path, body()); }, words);
    };
    const auto good = walk(vector(0, 0, 0), vector(0, 0, 1), 72);
    auto file = good;
    file.erase("poses");
    REQUIRE(refused(file, "m.npz: no poses are recognised in it"));
    file = good;
    file["trans"] = npy_array(torch::zeros({2, 3}));
    REQUIRE(refused(file, "rows that do not match: 3 poses, 2 translations"));
    file["trans"] = npy_array(torch::full({3, 3}, INFINITY));
    REQUIRE(refused(file, "m.npz: trans: row 0"));
    file = good;
    file["poses"] = npy_array(torch::zeros({3, 71}));
    REQUIRE(refused(file, "poses: expected"));
    file = good;
    file["fps"] = npy_array(torch::tensor(0.0));
    REQUIRE(refused(file, "fps: expected a positive rate"));
    file = good;
    file["up_axis"] = npy_array(std::vector<std::string>{"up"});
    REQUIRE(refused(file, "up_axis: expected y, z or -y, got 'up'"));
    REQUIRE(throws_error([&] { read_motion(folder.path / "none.npz", body()); }, "none.npz"));
}
