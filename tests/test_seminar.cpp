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

void train_through(const fs::path& folder, const fs::path& overlay, int64_t stop_at) {
    std::ostringstream progress;
    auto run = open_run(options({overlay.string()}));
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    auto training = start(std::move(run), objective, RunFolder{folder}, progress);
    while (training.state.step < stop_at) record(training, training_step(training));
    finish(training);
}

}  // namespace

TEST_CASE("every overlay of the seminar trains, resumes to the bit and is drawn", "[seminar]") {
    const auto plain = dump_yaml(options());
    std::set<std::string> seen;
    for (const auto& entry : fs::directory_iterator(kOverlays)) {
        const auto name = entry.path().stem().string();
        INFO(name);
        seen.insert(name);
        REQUIRE(dump_yaml(options({entry.path().string()})) != plain);
        const TemporaryFolder folder;
        const auto whole = folder.path / "whole", parts = folder.path / "parts";
        train_through(whole, entry.path(), 4);
        train_through(parts, entry.path(), 2);
        train_through(parts, entry.path(), 4);
        for (const auto* file :
             {"checkpoints/000004/model.safetensors", "checkpoints/000004/optimizer.safetensors",
              "metrics.csv", "avatar.safetensors"}) {
            INFO(file);
            REQUIRE(read_whole(whole / file) == read_whole(parts / file));
        }
        auto run = open_run(options({entry.path().string()}), CaptureParts());
        REQUIRE(load_latest(run, RunFolder{whole}) == 4);
        const auto saved = load_avatar(whole / "avatar.safetensors");
        const auto& frame = run.capture.splits.at("novel_motion").heads().front();
        const auto picture = draw(run.avatar, frame.camera, frame.pose).at("color");
        REQUIRE(torch::equal(draw(saved.avatar, frame.camera, frame.pose).at("color"), picture));
        const auto make = [&] { return bake(saved.avatar, saved.scene, {.components = 1}); };
        if (name == "pose_projection")
            REQUIRE(throws_error(make, "bake --unprojected"));
        else
            REQUIRE(make()->size() == saved.avatar->parts().surfels->size());
    }
    REQUIRE(seen.contains("pose_projection"));
    REQUIRE(seen.contains("skinning_table"));
    REQUIRE(seen.contains("blendshapes"));
}
