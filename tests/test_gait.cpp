// What a walk says of the rate of a motion.
#include <fmgs/core/joints.h>
#include <fmgs/data/gait.h>
#include <fmgs/data/motion.h>

#include "support/fits.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

BodyModel body() { return stick_body(FitTruth().joints); }
torch::Tensor y_up() { return torch::tensor({0., 1., 0.}); }

// Legs that swing by ±`angle` in steps of `frames` poses.
std::vector<BodyPose> walk(double angle, double frames, int64_t count) {
    std::vector<BodyPose> poses;
    for (int64_t k = 0; k < count; ++k) {
        auto turns = torch::zeros({24, 3});
        const double swing = angle * std::sin(M_PI * static_cast<double>(k) / frames);
        turns[smpl::kLeftHip][0] = -swing;
        turns[smpl::kRightHip][0] = swing;
        poses.push_back({exp_map(turns), torch::zeros({3})});
    }
    return poses;
}

NpzFile file_of(const std::vector<BodyPose>& poses) {
    std::vector<torch::Tensor> rows;
    for (const auto& pose : poses) rows.push_back(log_map(pose.rotations).flatten());
    return {{"poses", npy_array(torch::stack(rows))}};
}

}  // namespace

TEST_CASE("a walk is found by its steps, as long as its ankles are apart", "[gait]") {
    // Legs of 0.8 m at ±0.42 rad: the ankles are 2·0.8·sin 0.42 = 0.652 m apart.
    const auto found = find_walk(walk(0.42, 18, 180), *body(), y_up());
    REQUIRE(found);
    REQUIRE(found->length == Approx(0.652).epsilon(0.02));
    REQUIRE(found->frames_per_step == Approx(18).epsilon(0.02));
    // 0.652 m is the step at 0.652/0.39 = 1.67 steps a second.
    REQUIRE(found->natural_fps() == Approx(18 * 1.67).epsilon(0.02));
    REQUIRE(pace(*found, 30) == Approx(1).epsilon(0.02));
}

TEST_CASE("shuffling, standing and a single kick are no walk", "[gait]") {
    REQUIRE(!find_walk(walk(0.1, 18, 180), *body(), y_up()));
    REQUIRE(!find_walk(walk(0, 18, 180), *body(), y_up()));
    REQUIRE(!find_walk(walk(0.42, 18, 40), *body(), y_up()));
    auto uneven = walk(0.42, 18, 60);  // three steps, then slower and slower ones
    for (const double frames : {40.0, 90.0}) {
        const auto more = walk(0.42, frames, static_cast<int64_t>(2 * frames));
        uneven.insert(uneven.end(), more.begin(), more.end());
    }
    REQUIRE(!find_walk(uneven, *body(), y_up()));
    REQUIRE(!find_walk({}, *body(), y_up()));
}

TEST_CASE("a rate that contradicts the walk is a warning, a natural one is none", "[gait]") {
    const TemporaryFolder folder;
    const auto path = folder.path / "walk.npz";
    auto file = file_of(walk(0.42, 72, 720));  // taken at 120 a second
    const auto warnings = [&] {
        write_npz(path, file);
        return read_motion(path, *body()).warnings;
    };
    const auto without_rate = warnings();
    REQUIRE(without_rate.size() == 1);  // 30 are assumed: four times too slow
    REQUIRE(without_rate[0].find("30 poses a second, assumed since the file does not say") !=
            std::string::npos);
    REQUIRE(without_rate[0].find("120 poses a second would") != std::string::npos);
    file["fps"] = npy_array(torch::tensor(120.0));
    REQUIRE(warnings().empty());
    file["fps"] = npy_array(torch::tensor(60.0));
    REQUIRE(warnings().size() == 1);
    file["fps"] = npy_array(torch::tensor(250.0));
    REQUIRE(warnings().size() == 1);
    file["fps"] = npy_array(torch::tensor(90.0));
    REQUIRE(warnings().empty());
}
