// Learned poses in a run: what is hidden from the losses, the guard, the report and resuming.
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/safetensors.h>
#include <fmgs/core/random.h>
#include <fmgs/core/rotation.h>
#include <fmgs/run/draw.h>
#include <fmgs/run/training.h>

#include <cmath>
#include <sstream>

#include "support/small_run.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

Run learning(const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {"pose.learn=true",           "pose.start=0",
                                    "avatar.geometry.hidden=16", "avatar.geometry.layers=1",
                                    "avatar.skinning.hidden=16", "avatar.skinning.layers=1"};
    all.insert(all.end(), more.begin(), more.end());
    return open_run(options(all));
}

Training begin(Run run, const fs::path& folder, std::ostream& progress) {
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    return start(std::move(run), objective, RunFolder{folder}, progress);
}

/// Turns and moves the learned poses of these rows by about `radians` and `metres`.
void disturb(Run& run, const std::vector<int64_t>& rows, double radians, double metres,
             uint64_t seed = 1) {
    const torch::NoGradGuard guard;
    for (auto& parameter : run.poses->named_parameters()) {
        const double size = parameter.key() == "translation" ? metres : radians;
        auto x = parameter.value();
        const auto noise = torch::randn(x.sizes(), Random{seed}.generator(parameter.key()));
        for (const int64_t k : rows) x[k] += size * noise[k];
    }
}

/// The training frames with the picture that the avatar itself shows in the capture's poses.
FrameList drawn_by_itself(const Run& run) {
    std::vector<Frame> frames;
    for (auto frame : run.capture.splits.at("train")) {
        const auto maps = draw(run.avatar, frame.camera, frame.pose);
        for (const auto& [map, of] : {std::pair{"color", "color"}, {"mask", "alpha"}})
            frame.maps.set(map, maps.at(of));
        frames.push_back(frame);
    }
    return frames;
}

/// First moments of ones, as Optimizer::state has them.
TensorDict moments_of(const Run& run) {
    TensorDict out;
    for (const auto& parameter : run.poses->named_parameters())
        out.set("poses." + parameter.key() + ".first",
                torch::ones_like(parameter.value()).detach());
    return out;
}

bool same_row(const Run& run, const torch::Tensor& angles, const torch::Tensor& places, int64_t k) {
    return torch::equal(run.poses->rows().axis_angle[k], angles[k]) &&
           torch::equal(run.poses->rows().translation[k], places[k]);
}

Frame named(const std::string& name) {
    Frame frame;
    frame.name = name;
    return frame;
}

}  // namespace

TEST_CASE("rows as far apart in time as the closest are neighbours", "[learned_poses]") {
    const std::vector<Frame> frames = {
        named("image_0004"), named("image_0008"), named("image_0012"), named("image_0020"),
        named("image_0024"), named("image_0000"), named("last")};
    const TimeNeighbours expected = {{-1, 1}, {0, 2},   {1, -1}, {-1, 4},
                                     {3, -1}, {-1, -1}, {-1, -1}};
    REQUIRE((time_neighbours(frames) == expected));
    REQUIRE(time_neighbours({}).empty());
}

TEST_CASE("no loss sees a hidden pixel: neither its target nor what is rendered there",
          "[learned_poses]") {
    auto run = learning({"pose.held_out=0.3"});
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    const auto frame = run.capture.splits.at("train")[1];
    const PoseGuard guard(run);
    const auto hidden = guard.hidden(frame, 0);
    const auto seen = hidden.maps.at("seen");
    REQUIRE(torch::equal(guard.hidden(frame, 0).maps.at("seen"), seen));  // in every step the same
    REQUIRE(seen.mean().item<double>() > 0.5);
    REQUIRE(seen.mean().item<double>() < 0.9);
    auto other = frame;  // another picture where nobody may look
    const auto unseen = (1 - seen).to(torch::kBool);
    for (const auto& [name, map] : frame.maps) {
        if (map.is_floating_point()) {
            const auto noise = torch::rand(map.sizes(), Random{4}.generator(name));
            other.maps.set(name, torch::where(unseen, noise, map));
        } else {
            other.maps.set(name, torch::where(unseen[0], 5 - map.clamp(0, 4), map));
        }
    }
    const auto surfels = run.avatar->forward(frame.camera, frame.pose);
    const auto total = [&](const Frame& f) {
        return objective->forward(surfels, f, {}, 0.5).total.item<double>();
    };
    REQUIRE(total(hidden) == total(guard.hidden(other, 0)));
    REQUIRE(total(frame) != total(other));
    REQUIRE(total(hidden) != total(frame));

    // With all hidden, photometric and mask loss move nothing.
    run.options.pose.held_out = 1;
    const auto nothing = PoseGuard(run).hidden(frame, 0);
    REQUIRE(nothing.maps.at("seen").sum().item<double>() == 0);
    Objective two;
    for (const auto& entry : objective->entries())
        if (entry.name == "photometric" || entry.name == "mask")
            two->add(entry.name, entry.loss, 1.0, entry.reach);
    two->forward(run.avatar->forward(frame.camera, frame.pose), nothing, {}, 0.5).total.backward();
    for (const auto& parameter : run.avatar->parameters())
        if (parameter.grad().defined()) REQUIRE(parameter.grad().abs().sum().item<double>() == 0);
}

TEST_CASE("checks are spread over the run, the last at its end, and none before poses move",
          "[learned_poses]") {
    const auto moments = [](const std::vector<std::string>& more) {
        const PoseGuard guard(learning(more));
        std::vector<int64_t> out;
        for (int64_t step = 1; step <= 10; ++step)
            if (guard.due(step)) out.push_back(step);
        return out;
    };
    REQUIRE(moments({"train.steps=10", "pose.checks=4"}) == std::vector<int64_t>{3, 5, 8, 10});
    REQUIRE(moments({"train.steps=10", "pose.checks=4", "pose.start=0.45"}) ==
            std::vector<int64_t>{8, 10});
    for (const auto* off : {"pose.checks=0", "pose.held_out=0", "pose.learn=false"}) {
        REQUIRE(moments({"train.steps=10", off}).empty());
        const auto run = learning({off});
        const PoseGuard guard(run);
        REQUIRE(guard.state().empty());
        const auto frame = run.capture.splits.at("train")[0];
        REQUIRE_FALSE(guard.hidden(frame, 0).maps.contains("seen"));
    }
}

TEST_CASE("the guard takes back the poses that show hidden pixels worse, and keeps better ones",
          "[learned_poses]") {
    auto run = learning({"pose.held_out=0.5"});
    const auto frames = drawn_by_itself(run);  // the capture's poses show exactly these
    const auto angles = run.poses->rows().axis_angle, places = run.poses->rows().translation;
    PoseGuard guard(run);
    disturb(run, {1, 2}, 0.1, 0.05);
    auto moments = moments_of(run);
    REQUIRE(guard.check(run, frames, moments, 1) == 2);
    for (const int64_t k : {0, 1, 2, 3}) REQUIRE(same_row(run, angles, places, k));
    for (const auto& [name, first] : moments) {
        INFO(name);
        for (const int64_t k : {0, 1, 2, 3})
            REQUIRE(first[k].sum().item<double>() == (k == 1 || k == 2 ? 0 : first[k].numel()));
    }
    // A guard that begins with wrong poses keeps the right ones once it has seen them.
    disturb(run, {0, 3}, 0.1, 0.05);
    const auto wrong = run.poses->rows().translation[0];
    PoseGuard second(run);
    {
        const torch::NoGradGuard no_grad;
        for (const int64_t k : {0, 3}) {
            run.poses->named_parameters()["root"][k].copy_(angles[k][0]);
            run.poses->named_parameters()["joints"][k].copy_(angles[k].slice(0, 1));
            run.poses->named_parameters()["translation"][k].copy_(places[k]);
        }
    }
    REQUIRE(torch::equal(second.state().at("poses.translation.kept")[0], wrong));
    REQUIRE(second.check(run, frames, moments, 1) == 0);
    REQUIRE(torch::equal(second.state().at("poses.translation.kept"), places));
    disturb(run, {3}, 0.1, 0.05, 2);
    REQUIRE(second.check(run, frames, moments, 1) == 1);
    REQUIRE(same_row(run, angles, places, 3));
}

TEST_CASE("a check takes back what all frames moved by along their lines of sight",
          "[learned_poses]") {
    auto run = learning({"pose.held_out=0.5"});
    const auto places = run.poses->rows().translation;
    PoseGuard moved(run);
    // The pictures show each frame somewhere else, where it is found.
    disturb(run, {0, 1, 2, 3}, 0, 0.02);
    std::vector<Frame> frames;
    for (auto frame : run.capture.splits.at("train")) {
        const auto maps = draw(run.avatar, frame.camera, run.poses->forward(frame.index));
        frame.maps.set("color", maps.at("color"));
        frames.push_back(frame);
    }
    const auto before = run.poses->rows().translation;
    auto moments = moments_of(run);
    REQUIRE(moved.check(run, frames, moments, 1) == 0);
    const auto after = run.poses->rows().translation;
    std::vector<torch::Tensor> sight;
    for (const auto& head : run.capture.splits.at("train").heads())
        sight.push_back(head.camera.rotation[2]);
    const auto d = torch::stack(sight);
    const auto along = [&](const torch::Tensor& x) { return ((x - places) * d).sum(1); };
    REQUIRE(std::abs(along(before).mean().item<double>()) > 1e-3);
    REQUIRE(std::abs(along(after).mean().item<double>()) <= 1e-7);
    // One shift for all of them, and none across the line of sight.
    const auto shift = before - after;
    REQUIRE_CLOSE(shift, along(before).mean() * d, 1e-6);
    REQUIRE(torch::equal(moved.state().at("poses.translation.kept"), after));
}

TEST_CASE("where the file shows most frames as well, these rest in it", "[learned_poses]") {
    const TemporaryFolder folder;
    std::ostringstream progress;
    const std::vector<std::string> more = {"pose.held_out=0.5", "pose.checks=2", "train.steps=8"};
    auto training = std::unique_ptr<Training>(
        new Training(begin(learning(more), folder.path / "run", progress)));
    auto& run = training->run;
    const auto places = run.poses->rows().translation;
    // The pictures show a person a little aside and behind. Row 0 has gone a hundredth of the way,
    // row 1 the other way, row 2 most of it; row 3 is where it was.
    const auto way = torch::tensor({0.03F, 0.0F, 0.02F});
    std::vector<Frame> frames;
    for (auto frame : run.capture.splits.at("train")) {
        const BodyPose aside{frame.pose.rotations, frame.pose.translation + way};
        frame.maps.set("color", draw(run.avatar, frame.camera, aside).at("color"));
        frames.push_back(frame);
    }
    {
        const torch::NoGradGuard guard;
        auto rows = run.poses->named_parameters()["translation"];
        for (const auto& [k, share] : {std::pair{0, 0.01}, {1, -0.5}, {2, 0.8}})
            rows[k] += share * way;
    }
    for (int64_t k = 0; k < 4; ++k) REQUIRE_FALSE(training->guard.rests(k, 3));
    REQUIRE(training->guard.check(run, frames, training->optimizer.state(), 0.5) == 2);
    for (const int64_t k : {0, 1, 3}) {
        REQUIRE(training->guard.rests(k, 4));
        REQUIRE(torch::equal(run.poses->rows().translation[k], places[k]));
    }
    REQUIRE_FALSE(training->guard.rests(2, 4));
    // Who rests hides nothing any more.
    for (int64_t k = 0; k < 4; ++k) {
        const auto& frame = frames[static_cast<size_t>(k)];
        REQUIRE(training->guard.hidden(frame, 3).maps.contains("seen"));
        REQUIRE(training->guard.hidden(frame, 4).maps.contains("seen") == (k == 2));
    }
    // The drift is that of who moves: this one.
    const auto d = run.capture.splits.at("train").heads()[2].camera.rotation[2];
    REQUIRE_CLOSE(run.poses->rows().translation[2] - places[2], 0.8 * (way - way.dot(d) * d), 1e-6);

    // Steps leave the frames alone that rest; a run that goes on knows them.
    training->state.step = 4;
    const auto before = run.poses->rows();
    save(*training);
    for (const bool again : {false, true}) {
        if (again) {
            training.reset();
            training = std::unique_ptr<Training>(
                new Training(begin(learning(more), folder.path / "run", progress)));
        }
        while (training->state.step < 7) training_step(*training);
        const auto after = training->run.poses->rows();
        for (int64_t k = 0; k < 4; ++k) {
            INFO(k);
            REQUIRE(torch::equal(after.translation[k], before.translation[k]) == (k != 2));
            REQUIRE(torch::equal(after.axis_angle[k], before.axis_angle[k]) == (k != 2));
        }
    }
}

TEST_CASE("where most frames are wrong in the file, none rests", "[learned_poses]") {
    auto run = learning({"pose.held_out=0.5", "pose.checks=1"});
    const auto frames = drawn_by_itself(run);
    const auto right = run.poses->rows().translation;
    disturb(run, {0, 1, 2}, 0, 0.05);  // the file
    PoseGuard guard(run);
    run.poses->named_parameters()["translation"].set_requires_grad(false).copy_(right);
    auto moments = moments_of(run);
    REQUIRE(guard.check(run, frames, moments, 1) == 0);
    for (int64_t k = 0; k < 4; ++k) {
        REQUIRE_FALSE(guard.rests(k, run.options.train.steps));
        REQUIRE(guard.hidden(frames[static_cast<size_t>(k)], run.options.train.steps)
                    .maps.contains("seen"));
    }
}

TEST_CASE("what poses moved by is told in metres and degrees", "[learned_poses]") {
    auto run = learning();
    REQUIRE(pose_change(run).mean < 1e-6);
    const torch::NoGradGuard guard;
    run.poses->named_parameters()["translation"].slice(0, 0, 2) +=
        torch::tensor({0.0F, 0.06F, 0.08F});  // two of four frames
    auto change = pose_change(run);
    REQUIRE(change.mean == Approx(0.05).epsilon(1e-4));
    REQUIRE(change.still == 2);
    REQUIRE(change.worst == Approx(0.1).epsilon(1e-4));
    REQUIRE(change.translation == Approx(0.05).epsilon(1e-4));
    REQUIRE_CLOSE(change.drift, torch::tensor({0.0F, 0.03F, 0.04F}), 1e-5);
    REQUIRE(change.root < 0.05);  // degrees: float's log at small angles
    // A knee: the joints below it move, by the turn times the length of what hangs on it.
    run = learning();
    auto joints = run.poses->named_parameters()["joints"];
    const auto old = exp_map(joints.select(1, 3));
    joints.select(1, 3).copy_(
        log_map(torch::matmul(old, exp_map(torch::tensor({{0.1F, 0.0F, 0.0F}})))));
    change = pose_change(run);
    REQUIRE(change.joints == Approx(0.1 * 180 / M_PI / 23).epsilon(0.05));
    const auto rest = run.body->joints();
    double expected = 0;  // the ankle and the foot
    for (const int64_t j : {7, 10}) {
        const auto arm = (rest[j] - rest[4]).index({torch::tensor({1, 2})});
        expected += 2 * std::sin(0.05) * arm.norm().item<double>();
    }
    REQUIRE(change.mean == Approx(expected / 24).epsilon(0.01));
    REQUIRE(pose_change_text(run).find("poses: joints moved by") == 0);
    REQUIRE(change.still == 0);
}

TEST_CASE("it is said which held-out frames are drawn in a learned pose", "[learned_poses]") {
    auto run = open_run(options({"pose.learn=true"}), CaptureParts());
    REQUIRE(drawn_poses_text(run, "test_view") ==
            "test_view: 1 of 1 frames show the pose of a training frame and are drawn in it as "
            "learned\n");
    REQUIRE(drawn_poses_text(run, "test").empty());
    run.options.pose.learn = false;
    REQUIRE(drawn_poses_text(run, "test_view").empty());
}

TEST_CASE("poses that no loss compares with a picture are refused", "[learned_poses]") {
    const auto run = learning({"losses.photometric.weight=0", "losses.mask.weight=0"});
    const auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    REQUIRE(throws_error([&] { pose_objective(run, objective); }, "pose.learn: poses are learned"));
}

TEST_CASE("disturbed poses go back to where the pictures were taken", "[learned_poses]") {
    const TemporaryFolder folder;
    std::ostringstream progress;
    // An avatar that stays as it is, and pictures of it: what is left to explain is the pose.
    std::vector<std::string> still = {"pose.steps=16",       "pose.held_out=0",
                                      "train.steps=4",       "optim.pose_root=0",
                                      "optim.pose_joints=0", "optim.pose_translation=0.01"};
    for (const auto* group :
         {"volume", "feature_volume", "network", "skinning", "scale", "opacity"})
        still.push_back(std::string("optim.") + group + "=0");
    auto training = begin(learning(still), folder.path / "run", progress);
    training.frames = drawn_by_itself(training.run);
    disturb(training.run, {0, 1, 2, 3}, 0, 0.04);
    const auto before = pose_change(training.run);
    while (!finished(training)) training_step(training);
    const auto after = pose_change(training.run);
    REQUIRE(before.translation > 0.05);
    REQUIRE(after.translation < before.translation / 2);
}

TEST_CASE("a run with learned poses goes on to the bit, guard and smoothness included",
          "[learned_poses]") {
    const TemporaryFolder folder;
    const auto whole = folder.path / "whole", parts = folder.path / "parts";
    std::ostringstream progress;
    const std::vector<std::string> more = {"pose.checks=2", "pose.smoothness=0.1", "train.steps=8",
                                           "pose.held_out=0.3", "optim.pose_joints=0.05"};
    {
        auto training = begin(learning(more), whole, progress);
        while (!finished(training)) record(training, training_step(training));
        finish(training);
    }
    for (const int64_t stop : {3, 4, 8}) {  // before, at and after a check
        auto training = begin(learning(more), parts, progress);
        while (training.state.step < stop) record(training, training_step(training));
        save(training);
    }
    for (const auto* file :
         {"checkpoints/000008/model.safetensors", "checkpoints/000008/optimizer.safetensors",
          "metrics.csv", "avatar.safetensors", "poses.npz"}) {
        INFO(file);
        REQUIRE(read_whole(whole / file) == read_whole(parts / file));
    }
    const auto kept = read_safetensors(whole / "checkpoints/000008/optimizer.safetensors");
    REQUIRE(kept.at("poses.joints.kept").sizes() == at::IntArrayRef({4, 23, 3}));
}
