// The stage before training in which the template's vertices are fitted to the frames.
#include <fmgs/core/io/files.h>
#include <fmgs/data/image_io.h>
#include <fmgs/raster/render.h>
#include <fmgs/run/draw.h>
#include <fmgs/run/fit_template.h>
#include <fmgs/run/training.h>

#include <sstream>

#include "support/ball.h"
#include "support/small_run.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

/// A ball of radius 0.5 on one joint, and what cameras all around see of one of `radius`.
struct Stage {
    BodyModel body{nullptr};
    FrameList frames;
};

Stage ball_stage(double radius, int64_t count = 8) {
    auto data = ball_data();
    const int64_t vertices = data.vertices.size(0);
    data.weights = torch::ones({vertices, 1});
    data.joint_regressor = torch::full({1, vertices}, 1.0 / static_cast<double>(vertices));
    data.parents = torch::tensor({-1}, torch::kLong);
    Stage out{BodyModel(data, torch::Tensor()), {}};
    const int64_t size = 48;
    Frame frame = ball_frame(size);
    frame.pose = {torch::eye(3).unsqueeze(0), torch::tensor({0.F, 0.F, 4.F})};
    std::vector<Frame> frames;
    for (int64_t k = 0; k < count; ++k) {
        frame.name = std::to_string(k);
        frame.camera = frame.camera.orbit(torch::tensor({0.F, 0.F, 4.F}),
                                          torch::tensor({0.6F, 0.8F, 0.F}), 0.9);
        const auto at = torch::arange(size, torch::kFloat) + 0.5 - 0.5 * size;
        const auto far = at.square() + at.square().unsqueeze(1);
        // The cone that touches a ball at distance d has sin = r / d.
        const double f = 3.5 * 0.5 * size, d = 4;
        const double edge = f * radius / std::sqrt(d * d - radius * radius);
        frame.maps = {{"mask", (far <= edge * edge).to(torch::kFloat).unsqueeze(0)}};
        frames.push_back(frame);
    }
    out.frames = FrameList(std::move(frames));
    return out;
}

TemplateOffsetsOptions mask_alone() {
    TemplateOffsetsOptions options;
    options.rate = 1e-3;
    options.depth_ranking = options.normal = 0;
    options.laplacian = 0.2;
    options.normal_consistency = 0.1;
    return options;
}

const std::vector<std::string> kOffsets = {"avatar.template.type=offsets",
                                           "avatar.template.offsets.steps=4", "train.steps=2"};

std::vector<std::string> with(std::vector<std::string> keys, const std::string& more) {
    keys.push_back(more);
    return keys;
}

Training start_in(const fs::path& folder, const std::vector<std::string>& keys,
                  std::ostream& progress) {
    auto run = open_run(options(keys));
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    return start(std::move(run), objective, RunFolder{folder}, progress);
}

}  // namespace

TEST_CASE("surfels of a mesh's faces are drawn as the template's are", "[template]") {
    const auto run = open_run(options());
    const auto& frame = run.capture.splits.at("train").heads().front();
    const auto mesh = run.body->canonical();
    SurfelSetOptions look;
    look.initial_opacity = 0.7;
    look.initial_scale = 0.8;
    const SurfelSet set(mesh, look);
    const auto ours = face_surfels(mesh.vertices, mesh.faces, *run.body, look, frame.pose);
    const auto theirs = template_surfels(*run.body, *set, 0, frame.pose);
    const auto t_w = [](const Surfels& s) { return s.rotation.select(2, 2); };
    CHECK((t_w(ours) - t_w(theirs)).abs().max().item<double>() <= 1e-4);  // outwards, both
    const std::vector<std::string> names = {"alpha", "depth", "normal"};
    const auto a = render(ours.posed(), frame.camera, names),
               b = render(theirs.posed(), frame.camera, names);
    REQUIRE(b.at("alpha").max().item<double>() > 0.9);
    for (const auto& name : names) {
        INFO(name);
        CHECK((a.at(name) - b.at(name)).abs().max().item<double>() <= 2e-3);
        CHECK((a.at(name) - b.at(name)).abs().mean().item<double>() <= 1e-5);
    }
}

TEST_CASE("silhouettes of a larger ball make the template larger, those of its own leave it",
          "[template]") {
    const auto radius = [](double target) {
        const auto stage = ball_stage(target);
        TemplateOffsets offsets(stage.body->canonical());
        auto options = mask_alone();
        options.steps = 120;
        options.rate = 4e-3;
        int64_t told = 0;
        fit_offsets(*offsets, *stage.body, {}, options, stage.frames, 1,
                    [&](int64_t step, int64_t, double) { told = step; });
        CHECK(told == 120);
        const torch::NoGradGuard guard;
        const auto v = offsets->forward();
        CHECK(v.mean(0).norm().item<double>() <= 0.02);  // where it was
        return v.norm(2, 1).mean().item<double>();
    };
    const double own = radius(0.5), larger = radius(0.6);
    INFO(own << " and " << larger);
    CHECK(std::abs(own - 0.5) <= 0.025);
    CHECK(std::abs(larger - own - 0.1) <= 0.015);
}

TEST_CASE("the same frames and seed give the same bits; another seed draws other frames",
          "[template]") {
    const auto stage = ball_stage(0.55);
    const auto fitted = [&](uint64_t seed) {
        TemplateOffsets offsets(stage.body->canonical());
        auto options = mask_alone();
        options.steps = 5;
        fit_offsets(*offsets, *stage.body, {}, options, stage.frames, seed);
        return offsets->offsets().detach().clone();
    };
    CHECK(torch::equal(fitted(1), fitted(1)));
    CHECK_FALSE(torch::equal(fitted(1), fitted(2)));
}

TEST_CASE("what the stage needs and a frame lacks is named, and a weight of 0 does without",
          "[template]") {
    const auto stage = ball_stage(0.5, 1);
    TemplateOffsets offsets(stage.body->canonical());
    TemplateOffsetsOptions all;
    all.steps = 2;
    const auto fit = [&](const TemplateOffsetsOptions& o, const FrameList& frames) {
        fit_offsets(*offsets, *stage.body, {}, o, frames, 1);
    };
    CHECK(throws_error([&] { fit(all, stage.frames); },
                       "avatar.template.offsets: loss 'depth_ranking' needs the map 'depth'"));
    all.depth_ranking = 0;
    CHECK(throws_error([&] { fit(all, stage.frames); },
                       "avatar.template.offsets: loss 'normal' needs the map 'normal'"));
    all.normal = 0;
    CHECK_NOTHROW(fit(all, stage.frames));
    CHECK(throws_error([&] { fit(all, FrameList()); }, "no training frame"));
    all.rate = -1;
    CHECK(throws_error([&] { fit(all, stage.frames); }, "avatar.template.offsets.rate: expected"));
}

TEST_CASE("a run learns its template once, builds its avatar on it and keeps both", "[template]") {
    const TemporaryFolder folder;
    std::ostringstream first, second;
    {
        auto training = start_in(folder.path, kOffsets, first);
        CHECK(first.str().find("fitting the template: 4/4") != std::string::npos);
        CHECK(read_color(folder.path / "template.png").size(0) == 3);
        const auto& run = training.run;
        const auto own = open_run(options({"avatar.subdivisions=0"}));
        const auto moved = run.body->canonical().vertices - own.body->canonical().vertices;
        CHECK(moved.norm(2, 1).max().item<double>() > 1e-3);
        CHECK(moved.norm(2, 1).max().item<double>() < 0.02);  // 4 steps of 2 mm along each axis
        CHECK(torch::equal(run.body->weights(), own.body->weights()));
        CHECK(torch::equal(run.body->joints(), own.body->joints()));
        const auto mesh = read_obj(folder.path / "template.obj");
        CHECK((mesh.vertices - run.body->canonical().vertices).abs().max().item<double>() <= 1e-5);
        CHECK(torch::equal(mesh.faces, run.body->faces()));
        // All that a body makes is made of this one.
        const Avatar anew(paper_parts(run.body, run.options.avatar, 0));
        for (const auto& [name, tensor] : named_tensors(*anew)) {
            INFO(name);
            if (!name.starts_with("skinning.") || name.ends_with("box"))  // which was pre-fitted
                CHECK(torch::equal(tensor, named_tensors(*run.avatar).at(name)));
        }
        record(training, training_step(training));
        save(training);
    }
    auto training = start_in(folder.path, kOffsets, second);
    CHECK(second.str().find("fitting the template") == std::string::npos);
    CHECK(training.state.step == 1);
    const auto mesh = read_obj(folder.path / "template.obj");
    CHECK((mesh.vertices - training.run.body->canonical().vertices).abs().max().item<double>() <=
          1e-5);
}

TEST_CASE("resuming, the template's stage may be told otherwise, and its kind may not",
          "[template]") {
    const TemporaryFolder folder;
    std::ostringstream progress;
    start_in(folder.path, kOffsets, progress);
    const auto note =
        start_in(folder.path, with(kOffsets, "avatar.template.offsets.mask=3"), progress).note;
    CHECK(note == "avatar.template.offsets.mask: 1 before, 3 from here on\n");
    CHECK(throws_error(
        [&] { start_in(folder.path, with(kOffsets, "avatar.template.type=body"), progress); },
        "avatar.template.type: this run was begun with offsets, got body"));
}

TEST_CASE("what cannot be built again on another template is refused", "[template]") {
    struct Mine : Appearance {
        torch::Tensor forward(const FieldInput& in) override {
            return torch::ones({in.position.size(0), 3});
        }
    };
    const TemporaryFolder folder;
    auto run = open_run(options(kOffsets));
    auto parts = run.avatar->parts();
    parts.appearance = std::make_shared<Mine>();
    replace_avatar(run, Avatar(parts));
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    std::ostringstream progress;
    CHECK(throws_error([&] { start(std::move(run), objective, RunFolder{folder.path}, progress); },
                       "cannot rebuild the part 'appearance'"));
    CHECK(throws_error([&] { open_run(options(with(kOffsets, "avatar.template.file=/a.obj"))); },
                       "avatar.template.file: set, but not used"));
    CHECK(throws_error([&] { open_run(options({"avatar.template.type=cape"})); },
                       "avatar.template.type: expected body, mesh or offsets, got 'cape'"));
}

TEST_CASE("a template of type mesh is the capture's own unless a file is named", "[template]") {
    const auto run = open_run(options({"avatar.template.type=mesh"}));
    const auto mesh = read_obj(capture() / "template.obj");
    CHECK(torch::equal(run.body->faces(), mesh.faces));
    CHECK((run.body->canonical().vertices - mesh.vertices).abs().max().item<double>() <= 1e-5);
    CHECK(run.options.avatar.shape.file.empty());  // the capture may be moved
    const TemporaryFolder folder;
    const auto copy = folder.path / "capture";
    fs::copy(capture(), copy, fs::copy_options::recursive);
    fs::remove(copy / "template.obj");
    CHECK(throws_error(
        [&] {
            open_run(options({"avatar.template.type=mesh", "data.root=" + copy.string()}));
        },
        "template.obj does not exist; a template of type mesh needs one"));
}
