// A run as a library: which pose is drawn, a loss of one's own under checkpoints and resuming, and
// what the run leaves behind for drawing.
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/safetensors.h>
#include <fmgs/data/capture_writer.h>
#include <fmgs/data/pose_file.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/data/synthetic/synthetic.h>
#include <fmgs/run/draw.h>
#include <fmgs/run/program.h>
#include <fmgs/run/training.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "support/small_run.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

/// A field of three numbers.
struct OneTint : Appearance {
    torch::Tensor tint = register_parameter("tint", torch::zeros({3}));
    torch::Tensor forward(const FieldInput& in) override {
        return tint.sigmoid().expand({in.at.size(), 3});
    }
};

Training start_with_own_field(const fs::path& folder, std::ostream& progress) {
    auto run = open_run(options());
    auto parts = run.avatar->parts();
    parts.appearance = std::make_shared<OneTint>();
    replace_avatar(run, Avatar(parts));
    auto objective = paper_objective(parts, run.options.objective);
    return start(std::move(run), objective, RunFolder{folder}, progress);
}

Training start_with_own_loss(const fs::path& folder, std::ostream& progress) {
    auto run = open_run(options());
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    objective->add("exposure", std::make_shared<ExposureLoss>(), 0.1, Reach::of({"color"}));
    return start(std::move(run), objective, RunFolder{folder}, progress);
}

bool same_pose(const BodyPose& a, const BodyPose& b) {
    return torch::equal(a.rotations, b.rotations) && torch::equal(a.translation, b.translation);
}

}  // namespace

TEST_CASE("the learned pose is drawn where poses are learned and the frame has a row", "[run]") {
    const auto run = open_run(options({"pose.learn=true", "pose.start=0.5"}), CaptureParts());
    {
        const torch::NoGradGuard guard;
        for (auto& parameter : run.poses->parameters()) parameter.add_(0.1);
    }
    const auto& frame = run.capture.splits.at("train")[2];
    REQUIRE(frame.index == 2);
    const auto learned = run.poses->forward(2);
    REQUIRE(same_pose(take(run, frame).pose, learned));
    REQUIRE(same_pose(take(run, frame, 0.5).pose, learned));
    REQUIRE(take(run, frame).pose.rotations.requires_grad());
    REQUIRE(same_pose(take(run, frame, 0.49).pose, frame.pose));
    // A held-out camera of a training frame shows that frame's pose as it was learned.
    const auto& view = run.capture.splits.at("test_view").front();
    REQUIRE(view.index >= 0);
    REQUIRE(same_pose(take(run, view).pose, run.poses->forward(view.index)));
    const auto& held_out = run.capture.splits.at("test").front();
    REQUIRE(held_out.index == -1);
    REQUIRE(same_pose(take(run, held_out).pose, held_out.pose));
    REQUIRE(Frame{}.index == -1);

    auto plain = run;
    plain.options.pose.learn = false;
    REQUIRE(same_pose(take(plain, frame).pose, frame.pose));
}

TEST_CASE("what a loss of one's own owns is optimised, saved and resumed to the bit", "[run]") {
    const TemporaryFolder folder;
    const auto whole = folder.path / "whole", parts = folder.path / "parts";
    std::ostringstream progress;
    {
        auto training = start_with_own_loss(whole, progress);
        while (!finished(training)) record(training, training_step(training));
        finish(training);
    }
    {
        auto training = start_with_own_loss(parts, progress);
        while (training.state.step < 2) record(training, training_step(training));
        save(training);
    }
    {
        auto training = start_with_own_loss(parts, progress);
        REQUIRE(training.state.step == 2);
        while (!finished(training)) record(training, training_step(training));
        finish(training);
    }
    for (const auto* file :
         {"checkpoints/000004/model.safetensors", "checkpoints/000004/optimizer.safetensors",
          "metrics.csv", "avatar.safetensors"}) {
        INFO(file);
        REQUIRE(read_whole(whole / file) == read_whole(parts / file));
    }
    const auto model = read_safetensors(whole / "checkpoints/000004/model.safetensors");
    REQUIRE((model.at("losses.exposure.gain") != 1).all().item<bool>());
    REQUIRE(model.at("losses.exposure.seen").item<float>() == 4);
    const auto moments = read_safetensors(whole / "checkpoints/000004/optimizer.safetensors");
    REQUIRE(moments.at("losses.exposure.gain.steps").item<int64_t>() == 4);
    REQUIRE(read_whole(whole / "metrics.csv").find(",exposure\n") != std::string::npos);
    REQUIRE(progress.str().find("step 4/4") != std::string::npos);
    // Drawing needs none of it.
    auto run = open_run(options());
    REQUIRE(load_latest(run, RunFolder{whole}) == 4);
    REQUIRE(torch::equal(named_tensors(*run.root).at("avatar.surfels.log_scale"),
                         model.at("avatar.surfels.log_scale")));
}

TEST_CASE("a run leaves its avatar and its learned poses for drawing, as they are", "[run]") {
    const TemporaryFolder folder;
    std::ostringstream progress;
    auto run =
        open_run(options({"pose.learn=true", "pose.start=0", "pose.checks=0", "train.steps=2"}));
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    auto training = start(std::move(run), objective, RunFolder{folder.path}, progress);
    const auto first = read_whole(folder.path / "avatar.safetensors");  // of step 0
    while (!finished(training)) record(training, training_step(training));
    finish(training);
    REQUIRE(read_whole(folder.path / "avatar.safetensors") != first);

    const auto saved = load_avatar(folder.path / "avatar.safetensors");
    const auto& frames = training.run.capture.splits.at("train");
    const auto poses = read_pose_file(folder.path / "poses.npz");
    REQUIRE(saved.scene.frames.size() == frames.size());
    REQUIRE(poses.names == saved.scene.frames);
    REQUIRE(torch::equal(poses.betas, training.run.capture.betas));
    int moved = 0;
    for (size_t k = 0; k < frames.size(); ++k) {
        const auto taken = take(training.run, frames[k]);
        const auto pose = saved.scene.pose(static_cast<int64_t>(k));
        REQUIRE(saved.scene.frames[k] == frames[k].name);
        REQUIRE(same_pose(pose, taken.pose));
        REQUIRE(same_pose(poses.pose(static_cast<int64_t>(k), 24), pose));
        moved += !torch::equal(pose.translation, frames[k].pose.translation);
        const auto drawn = draw(training.run.avatar, taken.camera, taken.pose);
        for (const auto& [name, map] : draw(saved.avatar, saved.scene.camera, pose)) {
            INFO(name);
            REQUIRE(torch::equal(map, drawn.at(name)));
        }
    }
    REQUIRE(moved == 2);  // each of the two steps drew another frame
    REQUIRE(saved.scene.camera.low_pass == training.run.options.render.low_pass);
    REQUIRE(saved.scene.labels.at("semantic").at(22) == "Upper_Clothing");
    // Over the given poses nothing is learned, so there is nothing to write.
    training.run.options.pose.learn = false;
    save_results(training.run, RunFolder{folder.path / "plain"});
    REQUIRE(fs::exists(folder.path / "plain/avatar.safetensors"));
    REQUIRE_FALSE(fs::exists(folder.path / "plain/poses.npz"));
}

TEST_CASE("an epoch draws every frame once, in an order of its own", "[run]") {
    const auto epoch = [&](int64_t number, uint64_t seed) {
        auto order = frames_of(7, 7 * number, 7, seed);
        // Each step by itself draws the same.
        for (int64_t k = 0; k < 7; ++k)
            REQUIRE(frames_of(7, 7 * number + k, 1, seed)[0] == order[static_cast<size_t>(k)]);
        return order;
    };
    std::set<std::vector<size_t>> orders;
    for (const uint64_t seed : {1, 2}) {
        for (int64_t number = 0; number < 10; ++number) {
            auto order = epoch(number, seed);
            REQUIRE(order == epoch(number, seed));
            orders.insert(order);
            std::sort(order.begin(), order.end());
            REQUIRE(order == std::vector<size_t>{0, 1, 2, 3, 4, 5, 6});
        }
    }
    const auto across = frames_of(7, 5, 4, 1);
    REQUIRE(across[1] == epoch(0, 1)[6]);
    REQUIRE(across[2] == epoch(1, 1)[0]);
    REQUIRE(orders.size() >= 19);  // of 20 among 5040: two alike have a chance of 4 %
}

TEST_CASE("a schedule is read at the share of the steps that are done", "[run]") {
    const TemporaryFolder folder;
    std::ostringstream progress;
    auto run = open_run(options());
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    objective->add("exposure", std::make_shared<ExposureLoss>(), Schedule({{0, 0.0}, {0.5, 0.1}}),
                   Reach::of({"color"}));
    auto training = start(std::move(run), objective, RunFolder{folder.path}, progress);
    std::vector<int> evaluated;
    while (!finished(training)) {
        const auto report = training_step(training);
        evaluated.push_back(std::any_of(report.terms.begin(), report.terms.end(),
                                        [](const auto& term) { return term.name == "exposure"; }));
    }
    REQUIRE(evaluated == std::vector<int>{0, 0, 1, 1});
}

TEST_CASE("an avatar with a field of one's own trains, is saved and goes on to the bit", "[run]") {
    const TemporaryFolder folder;
    std::ostringstream progress;
    const auto tint = [](const Training& training) {
        return named_tensors(*training.run.root).at("avatar.appearance.tint").clone();
    };
    auto whole = start_with_own_field(folder.path / "whole", progress);
    REQUIRE(whole.note ==
            "the part 'appearance' is not the paper's: no avatar.safetensors is written\n");
    while (!finished(whole)) training_step(whole);
    auto first = start_with_own_field(folder.path / "parted", progress);
    for (int step = 0; step < 2; ++step) training_step(first);
    save(first);
    first.folder.lock.reset();  // as its process ends
    REQUIRE_FALSE(fs::exists(folder.path / "parted/avatar.safetensors"));
    auto second = start_with_own_field(folder.path / "parted", progress);
    REQUIRE(second.state.step == 2);
    REQUIRE(torch::equal(tint(second), tint(first)));
    while (!finished(second)) training_step(second);
    REQUIRE(torch::equal(tint(second), tint(whole)));
    REQUIRE(tint(whole).abs().min().item<float>() > 0);
}

TEST_CASE("a configuration of a newer format is refused with both versions", "[run]") {
    const TemporaryFolder folder;
    const auto file = folder.path / "config.yaml";
    const auto text = config_text(options());
    REQUIRE(text.starts_with(std::string(kRunConfigHead) + "format: 1\n"));
    write_whole(file, text);
    REQUIRE(config_text(read_options({folder.path.string()})) == text);
    write_whole(file, text.substr(text.find("data:")));  // the first runs named no format
    REQUIRE(config_text(read_options({folder.path.string()})) == text);
    write_whole(file, "format: 2\nnew_key: 1\n");
    REQUIRE(throws_error([&] { read_options({folder.path.string()}); },
                         "config.yaml:1: is of format 2; the newest that this version of the "
                         "library reads is 1"));
}

TEST_CASE("the folder of a run is the one that is resumed, or the output", "[run]") {
    const TemporaryFolder folder;
    auto o = options();
    REQUIRE(throws_error([&] { training_folder({"a.yaml"}, o); }, "output: the folder"));
    o.output = (folder.path / "run").string();
    auto made = training_folder({"a.yaml"}, o);
    made.begin();
    const auto run = made.root.string();
    write_whole(made.config(), config_text(o));
    REQUIRE(training_folder({run, "output=" + run}, o).root == made.root);
    o.output = (folder.path / "elsewhere").string();  // as of a run that was moved
    REQUIRE(training_folder({run}, o).root == made.root);
    REQUIRE(throws_error(
        [&] {
            training_folder({run, "output=" + o.output}, o);
        },
        "goes on in " + run + ", got " + o.output));
    REQUIRE(throws_error([&] { training_folder({run}, o, true); }, "--overwrite: `train "));
}
