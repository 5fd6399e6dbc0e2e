// Steps that learn from several frames, and what ends them: in one process, and on two ranks that
// are threads.
#include <fmgs/core/io/files.h>
#include <fmgs/run/training.h>

#include <sstream>

#include "support/ranks.h"
#include "support/small_run.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

/// Of one frame, the loss is not finite, or (a root at 0) its gradient is not.
struct BadLoss : Loss {
    std::string frame;
    bool value;

    BadLoss(std::string frame_, bool value_) : frame(std::move(frame_)), value(value_) {}
    std::vector<std::string> needs() const override { return {"color"}; }
    torch::Tensor forward(const LossInput& in) override {
        const auto x = in.rendered.at("color").mean();
        if (in.frame.name != frame || armed == 0) return x;
        return value ? x * NAN : (x - x.detach()).sqrt();
    }
    int armed = 0;
};

/// Begins a run with such a loss.
Training started(const fs::path& folder, const std::vector<std::string>& more,
                 const std::shared_ptr<BadLoss>& loss, std::ostream& progress,
                 std::shared_ptr<Ranks> ranks = std::make_shared<Ranks>()) {
    auto run = open_run(options(more));
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    if (loss) objective->add("bad", loss, 1.0, Reach::of({"color"}));
    return start(std::move(run), objective, RunFolder{folder}, progress, std::move(ranks));
}

std::string drawn(const Training& training, int64_t draw) {
    const auto heads = training.frames.heads();
    return heads[frames_of(heads.size(), draw, 1, 0).front()].name;
}

/// What training ends with, and its frames 0 and 1 of step 1, of which the second is bad.
std::string end_of_bad(const fs::path& folder, bool value,
                       std::shared_ptr<Ranks> ranks = std::make_shared<Ranks>()) {
    std::ostringstream progress;
    const auto loss = std::make_shared<BadLoss>("", value);
    auto training = started(folder, {"train.batch=2"}, loss, progress, std::move(ranks));
    loss->frame = drawn(training, 3);
    loss->armed = 1;
    training_step(training);
    try {
        training_step(training);
    } catch (const Error& error) {
        return error.what();
    }
    return "went on";
}

}  // namespace

TEST_CASE("each draw of a step has random numbers of its own", "[batch]") {
    // Both draws take the only frame there is: the same numbers would make the mean of two the loss
    // of one.
    const TemporaryFolder folder;
    std::ostringstream progress;
    const auto first_loss = [&](int64_t batch) {
        auto training =
            started(folder.path / std::to_string(batch),
                    {"data.last=0", "train.batch=" + std::to_string(batch)}, nullptr, progress);
        REQUIRE(training.frames.size() == 1);
        const auto report = training_step(training);
        REQUIRE(report.rendered.contains("target"));
        return report.total.item<double>();
    };
    const double one = first_loss(1), two = first_loss(2);
    CHECK(one != two);
    CHECK(one == Approx(two).epsilon(0.2));
}

TEST_CASE("a step that is not finite names its frames, and nothing changes", "[batch]") {
    const TemporaryFolder folder;
    const auto loss = end_of_bad(folder.path / "loss", true);
    CHECK(loss.find("step 1, frame 'image_") == 0);
    CHECK(loss.find("': the loss 'bad' is not finite") != std::string::npos);
    const auto gradient = end_of_bad(folder.path / "gradient", false);
    INFO(gradient);
    CHECK(gradient.find("step 1, frame 'image_") == 0);
    CHECK(gradient.find("', frame 'image_") != std::string::npos);
    CHECK(gradient.find("': the gradient of '") != std::string::npos);
    CHECK(gradient.find("is not finite\nthe state before this step is saved in") !=
          std::string::npos);
    for (const auto* name : {"loss", "gradient"}) {
        const auto all = list_checkpoints(folder.path / name / "checkpoints");
        CHECK(all.back().state.step == 1);
    }
}

TEST_CASE("what is not finite on one rank ends all at that step, with its frame", "[batch]") {
    for (const bool value : {true, false}) {
        const TemporaryFolder folder;
        std::string said[2];
        const auto ends = on_ranks(2, [&](Ranks& ranks) {
            const std::shared_ptr<Ranks> shared(&ranks, [](Ranks*) {});
            said[ranks.rank()] = end_of_bad(folder.path, value, shared);
        });
        for (const auto& end : ends) CHECK(end == "");
        const auto reason = said[1];
        INFO(said[0] << "\n" << reason);
        CHECK(reason.find("rank 1: step 1, frame 'image_") == 0);
        CHECK(reason.find(value ? "the loss 'bad'" : "the gradient of '") != std::string::npos);
        // One frame: that of the rank whose gradient it is.
        CHECK(reason.find("', frame") == std::string::npos);
        CHECK(said[0].find(reason) == 0);
        CHECK(said[0].find("the state before this step is saved in") != std::string::npos);
        CHECK(list_checkpoints(folder.path / "checkpoints").back().state.step == 1);
    }
}
