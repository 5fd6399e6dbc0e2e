#include <fmgs/core/rotation.h>
#include <fmgs/losses/pose_smoothness.h>

#include "support/losses.h"
#include "support/module.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

/// A joint turning about z and a root that moves along x: `at` are angles and metres of the frames.
PoseTable moving(const std::vector<double>& at) {
    auto angles = torch::zeros({static_cast<int64_t>(at.size()), 2, 3}, kDoubles);
    auto places = torch::zeros({static_cast<int64_t>(at.size()), 3}, kDoubles);
    for (size_t k = 0; k < at.size(); ++k) {
        const auto row = static_cast<int64_t>(k);
        angles[row][1][2] = at[k];
        places[row][0] = at[k];
    }
    return PoseTable(angles, places);
}

const TimeNeighbours kRow = {{-1, 1}, {0, 2}, {1, 3}, {2, -1}};

torch::Tensor value(PoseTable& poses, int64_t frame) {
    PoseSmoothnessLoss loss(poses.ptr(), kRow);
    LossScene scene(2, 2);
    scene.canonical.position = torch::zeros({1, 3}, kDoubles).requires_grad_();
    scene.frame.index = frame;
    return scene(loss);
}

}  // namespace

TEST_CASE("pose smoothness is half the squared acceleration, by hand", "[pose_smoothness]") {
    // The middle of turns by 0 and 0.2 is cos 0.1 times the turn by 0.1; of one joint of two.
    auto poses = moving({0, 0.4, 0.2, 1.0});
    const double c = std::cos(0.1);
    const double joint = 1 + c * c - 2 * c * std::cos(0.3);
    REQUIRE(value(poses, 1).item<double>() == Approx(joint / 2 + 0.3 * 0.3).epsilon(1e-12));
    // An even motion has next to none; a frame at an end, or none of the table, has none at all.
    auto even = moving({0, 0.01, 0.02, 0.03});
    REQUIRE(value(even, 1).item<double>() < 1e-8);
    for (const int64_t frame : {0, 3, -1, 4}) REQUIRE(value(poses, frame).item<double>() == 0);
}

TEST_CASE("pose smoothness pulls the frame's own pose alone, and as its difference says",
          "[pose_smoothness]") {
    auto poses = moving({0, 0.4, 0.2, 1.0});
    value(poses, 1).backward();
    for (const auto& parameter : poses->named_parameters()) {
        INFO(parameter.key());
        const auto gradient = parameter.value().grad();
        for (const int64_t k : {0, 2, 3}) REQUIRE(gradient[k].abs().sum().item<double>() == 0);
        if (parameter.key() != "root") REQUIRE(gradient[1].abs().sum().item<double>() > 0.1);
    }
    const auto [angles, places] = poses->rows();
    const double error = gradient_error(
        [&](const std::vector<torch::Tensor>& x) {
            const BodyPose own{exp_map(x[0]), x[1]};
            struct One : PoseSource {
                std::vector<BodyPose> poses;
                int64_t size() const override { return 4; }
                BodyPose forward(int64_t k) override { return poses[static_cast<size_t>(k)]; }
                std::string parameter_group(const std::string&) const override { return "network"; }
            };
            auto source = std::make_shared<One>();
            for (int64_t k = 0; k < 4; ++k)
                source->poses.push_back(k == 1 ? own : BodyPose{exp_map(angles[k]), places[k]});
            PoseSmoothnessLoss loss(source, kRow);
            LossScene scene(2, 2);
            scene.frame.index = 1;
            return scene(loss);
        },
        {angles[1], places[1]});
    REQUIRE(error < 1e-8);  // measured 1e-10
}

TEST_CASE("pose smoothness without a gradient leaves a step possible", "[pose_smoothness]") {
    auto poses = moving({0, 0.4, 0.2, 1.0});
    value(poses, 0).backward();
    for (const auto& parameter : poses->parameters())
        REQUIRE((!parameter.grad().defined() || parameter.grad().abs().sum().item<double>() == 0));
    value(poses, -1).backward();
}

TEST_CASE("pose smoothness refuses no poses and neighbours of other ones", "[pose_smoothness]") {
    auto poses = moving({0, 1});
    REQUIRE(throws_error([&] { PoseSmoothnessLoss(nullptr, {}); }, "got null"));
    REQUIRE(throws_error([&] { PoseSmoothnessLoss(poses.ptr(), kRow); }, "of 2 poses, got 4"));
}
