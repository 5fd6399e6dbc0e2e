// What a run does before its first step, when it goes on, and when it has to stop: nothing is lost.
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/safetensors.h>
#include <fmgs/run/training.h>

#include <sstream>

#include "support/small_run.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

Training start_in(const fs::path& folder, const std::vector<std::string>& more = {}) {
    static std::ostringstream progress;
    auto run = open_run(options(more));
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    return start(std::move(run), objective, RunFolder{folder}, progress);
}

/// Fails from its second step on, after the frames were tried.
struct FailingLoss : Loss {
    int64_t calls = 0;
    std::vector<std::string> needs() const override { return {"alpha"}; }
    torch::Tensor forward(const LossInput& in) override {
        if (++calls > 4 + 1) TORCH_CHECK(false, "no room on the device");
        return in.rendered.at("alpha").mean();
    }
};

}  // namespace

TEST_CASE("resuming stores other options, says them, and keeps what the avatar is made of",
          "[run]") {
    const TemporaryFolder folder;
    {
        auto training = start_in(folder.path, {"train.steps=2"});
        REQUIRE(training.note.empty());
        while (!finished(training)) record(training, training_step(training));
        finish(training);
    }
    const auto timing = read_whole(folder.path / "timing.json");
    {
        auto training = start_in(folder.path, {"train.steps=2"});
        REQUIRE(finished(training));
        finish(training);
        REQUIRE(read_whole(folder.path / "timing.json") == timing);  // no step was made
    }
    const std::vector<std::string> other = {"train.steps=3", "losses.normal.weight=0"};
    {
        auto training = start_in(folder.path, other);
        REQUIRE(training.note ==
                "losses.normal.weight: 0.05 before, 0 from here on\n"
                "train.steps: 2 before, 3 from here on\n");
        while (!finished(training)) record(training, training_step(training));
        finish(training);
    }
    const auto stored = read_options({folder.path.string()});
    REQUIRE(stored.train.steps == 3);
    REQUIRE(stored.objective.losses.normal.weight.zero());
    REQUIRE(start_in(folder.path, other).note.empty());
    REQUIRE(read_whole(folder.path / "metrics.csv").find("\n3,") != std::string::npos);

    const auto before = read_whole(folder.path / "config.yaml");
    for (const auto& [argument, words] : std::vector<std::pair<std::string, std::string>>{
             {"avatar.geometry.offset_bound=0.1",
              "avatar.geometry.offset_bound: this run was begun with"},
             {"avatar.star_degrees=45", "avatar.star_degrees: this run was begun with 30, got 45"},
             {"modalities.semantic.hidden=8", "modalities.semantic.hidden: this run"},
             {"modalities={mine: {}}", "modalities.mine."}}) {
        INFO(argument);
        REQUIRE(throws_error([&] { start_in(folder.path, {"train.steps=3", argument}); }, words));
        REQUIRE(read_whole(folder.path / "config.yaml") == before);
    }
    const auto taller = folder.path / "taller.npz";
    auto body = procedural_body({.cell = 0.035});
    body.vertices = body.vertices * 1.01;
    write_body(taller, body);
    REQUIRE(throws_error(
        [&] {
            start_in(folder.path, {"train.steps=3", "data.body=" + taller.string()});
        },
        "is not the one that this run was begun with"));
}

TEST_CASE("what does not fit the losses is said before anything is written, all at once", "[run]") {
    const TemporaryFolder folder;
    std::ostringstream progress;
    auto run = open_run(options({"losses.depth_ranking.weight=[[0, 0], [0.9, 0.02]]"}));
    auto& train = run.capture.splits.at("train");
    std::vector<Frame> frames(train.begin(), train.end());
    const auto without = [](const Maps& maps, const std::string& left_out) {
        Maps out;
        for (const auto& [name, map] : maps)
            if (name != left_out) out.set(name, map);
        return out;
    };
    for (const size_t k : {0, 1, 3}) frames[k].maps = without(frames[k].maps, "depth");
    frames[2].maps = without(frames[2].maps, "normal");
    train = frames;
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    const auto own = std::make_shared<ExposureLoss>();
    objective->add("exposure", own, 0.1, Reach::of({"color"}));
    std::string text;
    try {
        start(run, objective, RunFolder{folder.path / "run"}, progress);
    } catch (const Error& error) {
        text = error.what();
    }
    INFO(text);
    REQUIRE(
        text.find("loss 'depth_ranking' needs the map 'depth', which is not there; add it to the "
                  "capture or set losses.depth_ranking.weight=0 (frame '" +
                  frames[0].name + "', '" + frames[1].name + "' and 1 more)") != std::string::npos);
    REQUIRE(text.find("loss 'normal' needs the map 'normal'") != std::string::npos);
    REQUIRE(text.find("(frame '" + frames[2].name + "')") != std::string::npos);
    REQUIRE(own->seen.item<float>() == 0);  // trying leaves no trace
    REQUIRE(!fs::exists(folder.path / "run"));
    REQUIRE(progress.str().empty());  // before the pre-fit
}

TEST_CASE("an error in the loop loses nothing that was done", "[run]") {
    const TemporaryFolder folder;
    std::ostringstream progress;
    auto run = open_run(options());
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    objective->add("failing", std::make_shared<FailingLoss>(), 0.1, Reach::of({"opacity"}));
    auto training = start(std::move(run), objective, RunFolder{folder.path}, progress);
    record(training, training_step(training));
    std::string text;
    try {
        training_step(training);
    } catch (const Error& error) {
        text = error.what();
    }
    INFO(text);
    REQUIRE(text.starts_with("no room on the device\nthe state before this step is saved in "));
    REQUIRE(text.find("Exception raised from") == std::string::npos);  // no stack of LibTorch's
    REQUIRE(latest_checkpoint(training.folder.checkpoints())->state.step == 1);

    // A sheet that cannot be written.
    const TemporaryFolder other;
    auto drawing = start_in(other.path, {"train.sheet_every=1"});
    write_whole(other.path / "sheets", "a file");
    const auto report = training_step(drawing);
    REQUIRE(throws_error([&] { record(drawing, report); }, "is saved in "));
    REQUIRE(latest_checkpoint(drawing.folder.checkpoints())->state.step == 1);
}

TEST_CASE("a state that is not finite is never saved", "[run]") {
    const TemporaryFolder folder;
    auto training = start_in(folder.path, {"optim.network=[[0, 0.002], [0.5, 1e300]]"});
    std::string text;
    try {
        while (!finished(training)) record(training, training_step(training));
        finish(training);
    } catch (const Error& error) {
        text = error.what();
    }
    INFO(text);
    REQUIRE(text.find("is not finite") != std::string::npos);
    REQUIRE(text.find("was not saved (earlier ones are untouched)") != std::string::npos);
    for (const auto& checkpoint : list_checkpoints(training.folder.checkpoints())) {
        for (const auto& [name, tensor] : read_safetensors(checkpoint.folder / "model.safetensors"))
            REQUIRE((!tensor.is_floating_point() || tensor.isfinite().all().item<bool>()));
    }
    REQUIRE(!list_checkpoints(training.folder.checkpoints()).empty());
}
