// Runs whose poses are read off the pictures: options, what is saved, and driving an avatar.
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/safetensors.h>
#include <fmgs/run/learned_poses.h>
#include <fmgs/run/pose_reading.h>
#include <fmgs/run/training.h>

#include <sstream>

#include "support/small_run.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kEncoder = {"pose.learn=true", "pose.source=encoder", "pose.start=0",
                                           "pose.encoder.size=32", "data.check=off"};

RunOptions encoding(const std::vector<std::string>& more = {}) {
    auto all = kEncoder;
    all.insert(all.end(), more.begin(), more.end());
    return options(all);
}

/// Two steps, so that the encoder's head is no longer 0.
void train_in(const fs::path& folder) {
    std::ostringstream progress;
    auto run = open_run(encoding({"train.steps=2"}), training_parts());
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    auto training = start(std::move(run), objective, RunFolder{folder}, progress);
    while (!finished(training)) record(training, training_step(training));
    finish(training);
}

/// A run that was trained, once for all tests.
const fs::path& trained() {
    static const TemporaryFolder folder;
    static const fs::path path = [] {
        train_in(folder.path / "run");
        return folder.path / "run";
    }();
    return path;
}

}  // namespace

TEST_CASE("sources of poses that do not fit are refused", "[pose_reading]") {
    const auto refused = [](const std::vector<std::string>& more, const std::string& why) {
        return throws_error([&] { open_run(options(more)); }, why);
    };
    REQUIRE(refused({"pose.source=net"}, "expected table, encoder or scripted, got 'net'"));
    REQUIRE(refused({"pose.source=encoder"}, "set pose.learn=true"));
    REQUIRE(
        refused({"pose.learn=true", "pose.encoder.backbone=x.pt"}, "only pose.source=scripted"));
    REQUIRE(
        refused({"pose.learn=true", "pose.source=scripted", "pose.encoder.backbone=x.pt"}, "x.pt"));
    const auto scripted = open_run(options({"pose.learn=true", "pose.source=scripted"}));
    REQUIRE(scripted.options.pose.encoder.backbone == (capture() / "backbone.pt").string());
    REQUIRE(scripted.poses->parameters().size() == 2);
}

TEST_CASE(
    "a run begins with the file's poses, and its encoder moves them; no guard holds a network",
    "[pose_reading]") {
    auto fresh = open_run(encoding());
    const auto& head = fresh.capture.splits.at("train").heads()[2];
    REQUIRE(torch::equal(take(fresh, head).pose.rotations, head.pose.rotations));
    REQUIRE(PoseGuard(fresh).state().empty());

    auto run = open_run(encoding(), {.splits = {"test_view"}, .priors = false});
    REQUIRE(load_latest(run, RunFolder{trained()}) == 2);
    // A view of a training frame is drawn in the pose that the training picture says, though its
    // split alone is measured.
    const auto view = run.capture.splits.at("test_view")[0];
    REQUIRE(view.index >= 0);
    const auto now = take(run, view).pose;
    REQUIRE(torch::equal(now.rotations, run.poses->forward(view.index).rotations));
    REQUIRE(distance(now.rotations, view.pose.rotations) > 1e-5);
    REQUIRE(distance(now.rotations, view.pose.rotations) < 0.1);
    auto all = open_run(encoding(), held_out_parts());
    load_latest(all, RunFolder{trained()});
    REQUIRE(torch::equal(take(all, view).pose.rotations, now.rotations));
    const auto change = pose_change(run);
    REQUIRE(change.mean > 1e-6);
    REQUIRE(change.mean < 0.05);
}

TEST_CASE("the saved encoder reads what the run reads, and drives the avatar", "[pose_reading]") {
    auto run = open_run(encoding());
    load_latest(run, RunFolder{trained()});
    const auto file = trained() / "pose_encoder.safetensors";
    const auto saved = load_pose_encoder(file, 24);
    REQUIRE(saved.options.size == 32);
    const auto avatar = load_drawable(trained() / "avatar.safetensors");
    CaptureOptions data;
    data.root = capture().string();
    data.body = (capture() / "body.npz").string();
    const auto sequence = driven_sequence(avatar, saved, data, {});
    REQUIRE(sequence.name == "capture_driven");
    REQUIRE(sequence.shots.size() == 4);
    for (int64_t k = 0; k < 4; ++k) {
        const auto& pose = sequence.shots[static_cast<size_t>(k)].pose;
        REQUIRE_CLOSE(pose.rotations, run.poses->forward(k).rotations.detach(), 1e-5);
        REQUIRE_CLOSE(pose.translation, run.poses->forward(k).translation.detach(), 1e-5);
    }
    SequenceOptions few;
    few.stride = 2;
    few.frames = 1;
    few.size = PictureSize{32, 0};
    const auto one = driven_sequence(avatar, saved, data, few);
    REQUIRE(one.shots.size() == 1);
    REQUIRE(one.shots[0].camera.width == 32);
    few.frames = 9;
    REQUIRE(torch::equal(driven_sequence(avatar, saved, data, few).shots[1].pose.translation,
                         sequence.shots[2].pose.translation));

    few.fps = 0;
    REQUIRE(throws_error([&] { driven_sequence(avatar, saved, data, few); }, "--fps: expected"));

    REQUIRE(throws_error([&] { load_pose_encoder(file, 55); }, "expected an encoder of 55 joints"));
    REQUIRE(throws_error([&] { load_pose_encoder(trained() / "avatar.safetensors", 24); },
                         "avatar.safetensors"));
    const auto bytes = read_whole(file);
    const TemporaryFolder folder;
    write_whole(folder.path / "cut.safetensors", bytes.substr(0, bytes.size() / 2));
    REQUIRE(throws_error([&] { load_pose_encoder(folder.path / "cut.safetensors", 24); },
                         "cut.safetensors"));
    Metadata metadata;
    const auto tensors = read_safetensors(file, &metadata);
    for (const auto& [what, text, why] :
         {std::tuple{"wide", "encoder: {channels: 200}\njoints: 24\n", "tensors"},
          std::tuple{"none", "joints: 24\nencoder: {size: 7}\n", "size"}}) {
        auto other = metadata;
        other["options"] = text;
        write_safetensors(folder.path / what, tensors, other);
        REQUIRE(throws_error([&] { load_pose_encoder(folder.path / what, 24); }, why));
    }
    metadata.erase("options");
    write_safetensors(folder.path / "bare", tensors, metadata);
    REQUIRE(throws_error([&] { load_pose_encoder(folder.path / "bare", 24); }, "its options"));
}
