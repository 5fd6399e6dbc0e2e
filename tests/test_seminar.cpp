// Every overlay of configs/seminar as it stands on a capture of make_synthetic's kind: it trains,
// resumes to the bit, and leaves an avatar that is drawn, and baked where that is possible.
#include <fmgs/bake.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/io/files.h>
#include <fmgs/run/draw.h>
#include <fmgs/run/training.h>

#include <set>
#include <sstream>

#include "support/small_run.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

const fs::path kOverlays = fs::path(FMGS_SOURCE_DIR) / "configs/seminar";

/// Two frames and two steps: a run takes a third of a second.
RunOptions small(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"data.check=off", "data.last=1", "train.steps=2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return options(arguments);
}

/// Trains, or goes on, and returns metrics.csv.
std::string train_through(const fs::path& folder, const std::vector<std::string>& more,
                          int64_t stop_at = 2) {
    std::ostringstream progress;
    auto run = open_run(small(more));
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    auto training = start(std::move(run), objective, RunFolder{folder}, progress);
    while (training.state.step < stop_at) record(training, training_step(training));
    finish(training);
    return read_whole(folder / "metrics.csv");
}

}  // namespace

TEST_CASE("every overlay of the seminar trains, resumes to the bit and is drawn", "[seminar]") {
    const auto plain = dump_yaml(small());
    std::set<std::string> seen;
    for (const auto& entry : fs::directory_iterator(kOverlays)) {
        const auto name = entry.path().stem().string();
        INFO(name);
        seen.insert(name);
        REQUIRE(dump_yaml(small({entry.path().string()})) != plain);
        const TemporaryFolder folder;
        const auto whole = folder.path / "whole", parts = folder.path / "parts";
        const std::vector<std::string> overlay = {entry.path().string()};
        train_through(whole, overlay);
        train_through(parts, overlay, 1);
        train_through(parts, overlay);
        for (const auto* file :
             {"checkpoints/000002/model.safetensors", "checkpoints/000002/optimizer.safetensors",
              "metrics.csv", "avatar.safetensors"}) {
            INFO(file);
            REQUIRE(read_whole(whole / file) == read_whole(parts / file));
        }
        auto run = open_run(small(overlay), CaptureParts());
        REQUIRE(load_latest(run, RunFolder{whole}) == 2);
        const auto saved = load_avatar(whole / "avatar.safetensors");
        const auto& frame = run.capture.splits.at("novel_motion").heads().front();
        const auto picture = draw(run.avatar, frame.camera, frame.pose).at("color");
        REQUIRE(torch::equal(draw(saved.avatar, frame.camera, frame.pose).at("color"), picture));
        const auto make = [&] {
            return bake(saved.avatar, saved.scene, {.components = 1, .views = 1});
        };
        if (name == "pose_projection")
            REQUIRE(throws_error(make, "bake --unprojected"));
        else if (name == "material_deferred")
            REQUIRE(throws_error(make, "avatar.appearance.material.deferred=false"));
        else
            REQUIRE(make()->size() == saved.avatar->parts().surfels->size());
    }
    REQUIRE(seen.contains("pose_projection"));
    REQUIRE(seen.contains("pose_encoder"));
    REQUIRE(seen.contains("pose_scripted"));
    REQUIRE(seen.contains("skinning_table"));
    REQUIRE(seen.contains("blendshapes"));
    REQUIRE(seen.contains("material"));
    REQUIRE(seen.contains("material_deferred"));
    REQUIRE(seen.contains("template_offsets"));
    REQUIRE(seen.contains("template_mesh"));
}

TEST_CASE("training is the same with a projection; its run and its file have one", "[seminar]") {
    const TemporaryFolder folder;
    const auto plain = folder.path / "plain", on = folder.path / "on";
    const std::vector<std::string> learned = {"pose.learn=true", "pose.start=0", "pose.checks=0"};
    auto keys = learned;
    keys.emplace_back("avatar.pose_projection={components: 2, sigmas: 0.5}");
    REQUIRE(train_through(plain, learned) == train_through(on, keys));

    // It is fitted to the poses as they were learned, and the file draws what the run draws.
    auto run = open_run(small(keys), CaptureParts());
    load_latest(run, RunFolder{on});
    const auto before = run.avatar->parts().projection->subspace().mean().clone();
    fit_projection(run);
    REQUIRE_CLOSE(run.avatar->parts().projection->subspace().mean(), before, 1e-6);
    auto of_file = open_run(small(keys));
    of_file.options.pose.learn = false;
    fit_projection(of_file);
    REQUIRE(distance(of_file.avatar->parts().projection->subspace().mean(), before) > 1e-5);
    REQUIRE(distance(before, torch::zeros_like(before)) > 0.1);
    const auto& frame = run.capture.splits.at("novel_motion").heads().front();
    const auto saved = load_avatar(on / "avatar.safetensors");
    const auto picture = draw(run.avatar, frame.camera, frame.pose).at("color");
    REQUIRE(torch::equal(draw(saved.avatar, frame.camera, frame.pose).at("color"), picture));

    // The same run is drawn without it where the options say so.
    keys.back() = "avatar.pose_projection.components=0";
    auto without = open_run(small(keys));
    load_latest(without, RunFolder{on});
    const auto other = draw(without.avatar, frame.camera, frame.pose).at("color");
    REQUIRE(distance(other, picture) > 1e-4);
    saved.avatar.ptr()->train();
    REQUIRE(torch::equal(draw(saved.avatar, frame.camera, frame.pose).at("color"), other));
    keys.back() = "avatar.pose_projection.components=3";
    auto wider = open_run(small(keys));
    REQUIRE(throws_error([&] { load_latest(wider, RunFolder{on}); }, "does not fit this model"));
}
