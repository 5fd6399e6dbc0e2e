#include <fmgs/core/rotation.h>
#include <fmgs/losses/pose_anchor.h>
#include <fmgs/losses/pose_smoothness.h>

#include "support/losses.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

const torch::Tensor kTurns = torch::tensor(
    {{{0.1, 0.2, 0.3}, {0.3, -0.2, 0.1}}, {{0.0, 0.1, 0.0}, {-0.1, 0.4, 0.2}}}, kDoubles);
const torch::Tensor kPlaces = torch::tensor({{0.1, 0.2, 3.0}, {-0.1, 0.0, 2.5}}, kDoubles);

std::vector<BodyPose> file() {
    return {{exp_map(kTurns[0]), kPlaces[0]}, {exp_map(kTurns[1]), kPlaces[1]}};
}

torch::Tensor value(PoseTable& poses, int64_t frame) {
    PoseAnchorLoss loss(poses.ptr(), file());
    LossScene scene(2, 2);
    scene.canonical.position = torch::zeros({1, 3}, kDoubles).requires_grad_();
    scene.frame.index = frame;
    return scene(loss);
}

}  // namespace

TEST_CASE("the anchor is 0 where a pose is the file's, and else its distance, by hand",
          "[pose_anchor]") {
    PoseTable still(kTurns, kPlaces);
    REQUIRE(value(still, 0).item<double>() < 1e-20);
    REQUIRE(value(still, 1).item<double>() < 1e-20);
    for (const int64_t none : {-1, 2}) REQUIRE(value(still, none).item<double>() == 0);
    // A joint turned further by 0.2 about its own axis: ½‖R - R′‖² = 2(1 - cos 0.2); of two.
    auto turned = kTurns.clone();
    turned[1][1] *= 1 + 0.2 / kTurns[1][1].norm();
    auto moved = kPlaces.clone();
    moved[1][0] += 0.3;
    PoseTable poses(turned, moved);
    REQUIRE(value(poses, 1).item<double>() == Approx(1 - std::cos(0.2) + 0.09).epsilon(1e-9));
    REQUIRE(value(poses, 0).item<double>() < 1e-20);
}

TEST_CASE("the anchor pulls a move by twice its length, and a small turn so, too",
          "[pose_anchor]") {
    auto turned = torch::zeros({2, 2, 3}, kDoubles);
    turned[0][1][2] = 1e-3;
    auto moved = torch::zeros({2, 3}, kDoubles);
    moved[0][1] = 0.25;
    PoseTable poses(turned, moved);
    PoseAnchorLoss loss(poses.ptr(),
                        {{torch::eye(3, kDoubles).repeat({2, 1, 1}), torch::zeros({3}, kDoubles)},
                         {torch::eye(3, kDoubles).repeat({2, 1, 1}), torch::zeros({3}, kDoubles)}});
    LossScene scene(2, 2);
    scene.frame.index = 0;
    scene(loss).backward();
    const auto p = poses->named_parameters();
    REQUIRE(p["translation"].grad()[0][1].item<double>() == Approx(0.5).epsilon(1e-12));
    REQUIRE(p["joints"].grad()[0][0][2].item<double>() == Approx(2 * 1e-3 / 2).epsilon(1e-5));
    REQUIRE(p["translation"].grad()[1].abs().sum().item<double>() == 0);
}

TEST_CASE("the anchor refuses no poses and a file with others", "[pose_anchor]") {
    PoseTable poses(kTurns, kPlaces);
    REQUIRE(throws_error([&] { PoseAnchorLoss(nullptr, file()); }, "got null"));
    REQUIRE(throws_error([&] { PoseAnchorLoss(poses.ptr(), {file()[0]}); }, "expected 2 poses"));
}
