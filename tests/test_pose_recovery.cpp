// Joints that are wrong in the file are found again from pictures, by a table and by an encoder.
#include <fmgs/avatar.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/fields/encoded_poses.h>
#include <fmgs/raster/render.h>
#include <fmgs/run/pose_reading.h>
#include <fmgs/train/optim.h>

#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

constexpr int64_t kElbow = 18;  // the left one
constexpr double kWrong = 0.1;  // radians

/// A body whose surfels are coloured by where they are, before a camera.
struct Scene {
    BodyModel body{procedural_body({.cell = 0.04}), torch::zeros({0})};
    SurfelSet surfels{body->canonical(), SurfelSetOptions{}};
    Camera camera =
        Camera::look_at(torch::tensor({0.3F, 0.1F, 3.0F}), torch::tensor({0.0F, 0.0F, 0.0F}),
                        torch::tensor({0.0F, 1.0F, 0.0F}), 70, 48, 48);

    Maps draw(const BodyPose& pose) const {
        auto s = template_surfels(*body, *surfels, 0, pose);
        s.features.set("color", (0.5 + 0.5 * torch::sin(25 * surfels->position())).detach());
        return render(s.posed(), camera, {"color", "alpha"});
    }
    /// The elbow bent by `angle` about z, in the picture's plane.
    BodyPose bent(double angle) const {
        auto turns = torch::zeros({body->joint_count(), 3});
        turns[kElbow][2] = angle;
        return {exp_map(turns), torch::zeros({3})};
    }
    Frame frame(const BodyPose& shown, const BodyPose& given) const {
        const torch::NoGradGuard guard;
        Frame out;
        out.camera = camera;
        out.pose = given;
        out.maps.set("color", draw(shown).at("color"));
        return out;
    }
    double elbow_error(const BodyPose& pose, double angle) const {
        const auto left =
            torch::matmul(bent(angle).rotations[kElbow].t(), pose.rotations[kElbow].detach());
        return log_map(left.unsqueeze(0)).norm().item<double>();
    }
};

/// Moves the source's parameters until its poses show the pictures.
void learn(const Scene& scene, PoseSource& poses, const std::vector<Frame>& frames, int64_t steps,
           const OptimOptions& rates) {
    Optimizer optimizer(grouped_parameters(poses), rates);
    for (int64_t step = 0; step < steps; ++step) {
        const auto k = static_cast<size_t>(step) % frames.size();
        const auto shown = scene.draw(poses.forward(static_cast<int64_t>(k))).at("color");
        optimizer.zero_grad();
        (shown - frames[k].maps.at("color")).abs().sum().backward();
        REQUIRE_FALSE(optimizer.step(static_cast<double>(step) / static_cast<double>(steps)));
    }
}

}  // namespace

TEST_CASE("a table and an encoder find an elbow that is wrong by 0.1 rad", "[pose_recovery]") {
    const Scene scene;
    const double right = 0.4 + kWrong;
    const std::vector<Frame> frames = {scene.frame(scene.bent(right), scene.bent(0.4))};
    REQUIRE(scene.elbow_error(frames[0].pose, right) == Approx(kWrong).epsilon(1e-3));
    OptimOptions rates;
    rates.pose_root = rates.pose_translation = 0;
    rates.pose_joints = 1e-2;
    rates.picture_encoder = 1e-3;
    PoseTable table(std::vector<BodyPose>{frames[0].pose});
    learn(scene, *table, frames, 150, rates);
    const auto encoder = std::make_shared<PoseCorrectionImpl>(
        PoseCorrectionOptions{.size = 32, .channels = 8, .root_limit = 0, .translation_limit = 0},
        scene.body->joint_count());
    const auto source = encoded_poses(frames, scene.body.ptr(), 32, encoder);
    learn(scene, *source, frames, 150, rates);
    const double of_table = scene.elbow_error(table->forward(0), right),
                 of_encoder = scene.elbow_error(source->forward(0), right);
    CAPTURE(of_table, of_encoder);
    REQUIRE(of_table < 0.02);
    REQUIRE(of_encoder < 0.05);
}

TEST_CASE("a picture changes with a joint as its gradient says", "[pose_recovery]") {
    Scene scene;
    scene.body->to(torch::kDouble);
    scene.surfels->to(torch::kDouble);
    scene.camera = scene.camera.to(torch::kDouble);
    const auto weight =
        torch::sin(torch::arange(3 * 48 * 48, torch::kDouble)).view({3, 48, 48}) + 0.5;
    auto turns = torch::zeros({scene.body->joint_count(), 3}, torch::kDouble);
    turns[kElbow][2] = 0.4;
    const auto value = [&](const torch::Tensor& angles) {
        const BodyPose pose{exp_map(angles), torch::zeros({3}, torch::kDouble)};
        return (scene.draw(pose).at("color") * weight).sum();
    };
    auto leaf = turns.clone().requires_grad_();
    value(leaf).backward();
    const torch::NoGradGuard guard;
    for (const int64_t axis : {0, 1, 2}) {
        INFO(axis);
        constexpr double kStep = 1e-6;
        auto up = turns.clone(), down = turns.clone();
        up[kElbow][axis] += kStep;
        down[kElbow][axis] -= kStep;
        const double numeric = (value(up) - value(down)).item<double>() / (2 * kStep);
        const double analytic = leaf.grad()[kElbow][axis].item<double>();
        CAPTURE(numeric, analytic);
        REQUIRE(std::abs(numeric) > 0.1);
        REQUIRE(std::abs(analytic - numeric) < 1e-6 * std::abs(numeric));  // measured 5e-8
    }
}

TEST_CASE("the picture that is read is the square around the posed body", "[pose_recovery]") {
    const Scene scene;
    auto frame = scene.frame(scene.bent(0), scene.bent(0));
    const auto whole = person_picture(*scene.body, frame, 32);
    REQUIRE(whole.sizes() == torch::IntArrayRef({3, 32, 32}));
    // The body's larger side takes 1/1.2 of it, in the middle.
    const auto columns = (whole.sum(0).amax(0) > 0.05).nonzero();
    const int64_t first = columns.min().item<int64_t>(), last = columns.max().item<int64_t>();
    REQUIRE(std::abs(static_cast<double>(last + 1 - first) - 32 / 1.2) < 2.5);
    REQUIRE(std::abs(first - (31 - last)) <= 2);
    // Another camera that sees the same at twice the size, and one that cuts it, show the same.
    auto twice = frame;
    twice.camera = frame.camera.scaled(2);
    twice.maps.set("color", scene.draw(frame.pose)
                                .at("color")
                                .repeat_interleave(2, 1)
                                .repeat_interleave(2, 2)
                                .detach());
    REQUIRE(distance(person_picture(*scene.body, twice, 32), whole) < 0.15);
    auto moved = frame;
    moved.camera.intrinsics = frame.camera.intrinsics + torch::tensor({0.F, 0.F, 40.F, 0.F});
    moved.maps.set("color", torch::zeros_like(frame.maps.at("color")));
    REQUIRE(person_picture(*scene.body, moved, 32).abs().max().item<double>() == 0);
    auto behind = frame;
    behind.pose.translation = torch::tensor({0.F, 0.F, 9.F});
    REQUIRE(throws_error([&] { person_picture(*scene.body, behind, 32); }, "not in front"));
    auto close = frame;
    close.pose.translation = torch::tensor({0.29F, 0.1F, 2.6F});
    close.camera.intrinsics = frame.camera.intrinsics * torch::tensor({20.F, 20.F, 1.F, 1.F});
    REQUIRE(throws_error([&] { person_picture(*scene.body, close, 32); }, "pixels large"));
}
