#include <fmgs/core/random.h>
#include <fmgs/core/rotation.h>
#include <fmgs/fields/pose_table.h>

#include "support/gradcheck.h"
#include "support/module.h"
#include "support/test.h"

using namespace fmgs;

namespace {
std::vector<BodyPose> poses(uint64_t seed = 1) {
    std::vector<BodyPose> result;
    for (int64_t k = 0; k < 3; ++k) {
        const Random random{seed, k};
        const auto turn = 0.7 * torch::randn({4, 3}, random.generator("turn"), torch::kFloat32);
        result.push_back(
            {exp_map(turn), torch::randn({3}, random.generator("translation"), torch::kFloat32)});
    }
    result[1].rotations[2] = torch::eye(3);
    return result;
}
}  // namespace

TEST_CASE("a fresh pose table returns the file's poses", "[pose_table]") {
    const auto file = poses();
    PoseTable table(file);
    REQUIRE(table->size() == 3);
    for (int64_t k = 0; k < 3; ++k) {
        const auto pose = table->forward(k);
        REQUIRE_CLOSE(pose.rotations, file[static_cast<size_t>(k)].rotations, 2e-6);
        REQUIRE(torch::equal(pose.translation, file[static_cast<size_t>(k)].translation));
    }
}

TEST_CASE("a loss on one frame moves that frame's row only", "[pose_table]") {
    PoseTable table(poses());
    const auto pose = table->forward(1);
    (pose.rotations.select(2, 0).sum() + pose.translation.sum()).backward();
    for (const char* name : {"root", "joints", "translation"}) {
        const auto grad = table->named_parameters()[name].grad();
        REQUIRE(grad[1].abs().max().item<float>() > 0);
        REQUIRE(grad[0].abs().max().item<float>() == 0);
        REQUIRE(grad[2].abs().max().item<float>() == 0);
    }
}

TEST_CASE("gradients of the pose table are right in double, the identity included",
          "[pose_table]") {
    PoseTable table(poses());
    table->to(torch::kDouble);
    const auto mix = torch::arange(1, 37, torch::kDouble).view({4, 3, 3});
    const auto value = [&] {
        const auto pose = table->forward(1);
        return (pose.rotations * mix).sin().sum() + pose.translation.square().sum();
    };
    REQUIRE(test::parameter_gradient_error(*table, value) < 1e-6);
}

TEST_CASE("a pose table with copied parameters gives the same bits", "[pose_table]") {
    PoseTable a(poses(1)), b(poses(2));
    REQUIRE_FALSE(torch::equal(a->forward(0).rotations, b->forward(0).rotations));
    REQUIRE(test::copy_state(*a, *b));
    REQUIRE(torch::equal(a->forward(0).rotations, b->forward(0).rotations));
}

TEST_CASE("a pose table refuses rows it does not have and poses of different trees",
          "[pose_table]") {
    PoseTable table(poses());
    REQUIRE(test::throws_error([&] { table->forward(3); }, "[0,3), got 3"));
    REQUIRE(test::throws_error([&] { table->forward(-1); }, "got -1"));
    REQUIRE(test::throws_error([] { PoseTable(std::vector<BodyPose>{}); }, "at least one"));
    auto mixed = poses();
    mixed[2].rotations = torch::eye(3).repeat({5, 1, 1});
    REQUIRE(test::throws_error([&] { PoseTable{mixed}; }, "rotations of pose 2"));
}
