// The paper's objective as options build it, and the configurations that say what it is made of.
#include <fmgs/losses/paper_objective.h>

#include <fmgs/core/config/config.h>
#include <fmgs/losses/normal.h>
#include <fmgs/run/influence.h>
#include <fmgs/run/run.h>

#include <set>

#include "support/stage.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

const fs::path kConfigs = fs::path(FMGS_SOURCE_DIR) / "configs";
const std::set<std::string> kPriors = {"depth_ranking", "normal_consistency", "normal", "normal_tv",
                                       "semantic",      "semantic_smoothness"};
constexpr double kUnsaid = 0.123456;

/// Options of these files over `options`.
RunOptions read(const std::vector<fs::path>& files, RunOptions options = {}) {
    Config config;
    for (const auto& file : files) config.add_file(file.string());
    config.read(options);
    return options;
}

/// The terms whose weight a file states, with that weight.
std::map<std::string, Schedule> stated(const fs::path& file) {
    RunOptions options;
    EachTerm mark{[](const std::string&, auto& term) { term.weight = kUnsaid; }};
    options.objective.losses.visit(mark);
    options = read({file}, options);
    std::map<std::string, Schedule> weights;
    EachTerm look{[&](const std::string& name, auto& term) {
        if (!(term.weight == Schedule(kUnsaid))) weights[name] = term.weight;
    }};
    options.objective.losses.visit(look);
    return weights;
}

/// The prior terms that an objective has, in the order of the set.
std::set<std::string> priors_of(const RunOptions& options) {
    const auto objective = paper_objective(stage().avatar->parts(), options.objective);
    std::set<std::string> names;
    for (const auto& entry : objective->entries()) {
        if (kPriors.count(entry.name)) names.insert(entry.name);
    }
    return names;
}

}  // namespace

TEST_CASE("the paper's objective owns no tensor: all that its losses read is the avatar's",
          "[losses]") {
    auto all = only(table_rows(), "measured");
    const auto objective = paper_objective(stage().avatar->parts(), all);
    REQUIRE(objective->entries().size() == table_rows().size());
    REQUIRE(objective->parameters().empty());
    REQUIRE(objective->buffers().empty());
}

TEST_CASE("a modality of one's own needs options alone, and reaches its own field", "[losses]") {
    auto options = only({}, "strict");
    options.losses.others["dino"] = map_term(0.1, "cosine");
    auto& [avatar, frame, random] = stage();
    avatar->zero_grad();
    auto objective = paper_objective(avatar->parts(), options);
    objective->forward(avatar->forward(frame.camera, frame.pose), frame, random, 0)
        .total.backward();
    size_t reached = 0;
    for (const auto& p : avatar->named_parameters()) {
        const bool moved =
            p.value().grad().defined() && p.value().grad().abs().max().item<double>() > 0;
        INFO(p.key());
        if (p.key().rfind("feature_dino", 0) == 0)
            reached += moved;
        else
            REQUIRE_FALSE(moved);
    }
    REQUIRE(reached > 0);
    const auto parts = avatar->parts();
    options.losses.others["clip"] = map_term(0.1, "cosine");
    REQUIRE(throws_error([&] { paper_objective(parts, options); },
                         "add modalities.clip or set losses.clip.weight to 0"));
    options.losses.others["clip"].type = "cosin";
    REQUIRE(throws_error([&] { paper_objective(parts, options); },
                         "losses.clip.type: there is no type 'cosin'; the nearest is 'cosine'"));
}

TEST_CASE("terms of one's own have names of their own, and a slip in the paper's is seen",
          "[losses]") {
    const auto parts = stage().avatar->parts();
    const auto error = [&](const std::string& name, const Term<MapLossOptions>& term,
                           const std::string& words) {
        auto options = only({}, "strict");
        options.losses.others[name] = term;
        return throws_error([&] { paper_objective(parts, options); }, words);
    };
    REQUIRE(error("photometrik", map_term(1, ""),
                  "losses: there is no term 'photometrik'; the nearest is 'photometric'"));
    REQUIRE(error("depth", map_term(1, "l1"), "loss 'depth': the word has a meaning already"));
    REQUIRE(error("a/b", map_term(1, "l1", "dino"), "loss 'a/b': a name has"));
    REQUIRE(error("mine", map_term(1, "l1", "dinosaur"), "it reads the map 'dinosaur'"));
    auto options = only({}, "strict");
    options.losses.others["even"] = map_term(1, "smoothness", "dino");
    const auto objective = paper_objective(parts, options);
    REQUIRE(objective->entries().at(0).reach.features == std::set<std::string>{"dino.latent"});
    options.static_shapes = "yes";
    REQUIRE(throws_error([&] { paper_objective(parts, options); },
                         "static_shapes: expected auto, true or false, got 'yes'"));
    options.static_shapes = "true";
    REQUIRE(paper_objective(parts, options)->static_shapes == true);
}

TEST_CASE("a modality's name is checked when the avatar is made", "[losses]") {
    auto parts = stage().avatar->parts();
    for (const std::string bad : {"color", "a/b", "", "a.b"}) {
        parts.features[1].first = bad;
        REQUIRE(throws_error([&] { Avatar{parts}; }, "modality '" + bad + "'"));
    }
}

TEST_CASE("paper.yaml states every weight, and is the recipe", "[options]") {
    REQUIRE(stated(kConfigs / "paper.yaml").size() == table_rows().size());
    const auto o = read({kConfigs / "paper.yaml"});
    REQUIRE(o.objective.routing == "strict");
    REQUIRE(o.render.low_pass == Approx(std::sqrt(0.5)));
    REQUIRE(o.avatar.star_degrees == 45);
    const auto& l = o.objective.losses;
    REQUIRE(l.mask.weight == Schedule(0.1));
    REQUIRE(l.iso_position.weight == Schedule(1));
    REQUIRE(l.iso_covariance.weight == Schedule(100));
    const auto step = [&](int64_t k) { return double(k) / double(o.train.steps); };
    REQUIRE(l.skin.weight.at(step(999)) == 10);
    REQUIRE(l.skin.weight.at(step(1001)) == 0.1);
    REQUIRE(o.optim.rate("scale", step(999)) == 0);
    REQUIRE(o.optim.rate("scale", step(1001)) == 0.005);
    REQUIRE(o.avatar.geometry.start == Approx(step(3000)));
    REQUIRE(o.pose.start == Approx(step(5000)).epsilon(1e-3));
    REQUIRE(paper_objective(stage().avatar->parts(), o.objective)->entries().size() ==
            table_rows().size());
}

TEST_CASE("an ablation switches losses off, changes no other weight and stacks on both recipes",
          "[options]") {
    size_t seen = 0;
    for (const auto& entry : fs::directory_iterator(kConfigs / "ablations")) {
        const auto name = entry.path().stem().string();
        INFO(name);
        const std::string without = "without_";
        std::set<std::string> off;
        for (const auto& [term, weight] : stated(entry.path())) {
            REQUIRE(weight.zero());
            off.insert(term);
        }
        if (name.starts_with(without))
            REQUIRE(off == std::set<std::string>{name.substr(without.size())});
        else if (!name.starts_with("table3_"))
            REQUIRE(off.empty());
        const auto on_defaults = read({entry.path()}),
                   on_paper = read({kConfigs / "paper.yaml", entry.path()});
        REQUIRE(priors_of(on_defaults) == priors_of(on_paper));
        REQUIRE(on_defaults.train.steps == RunOptions{}.train.steps);
        REQUIRE(on_paper.train.steps == 15000);
        ++seen;
    }
    REQUIRE(seen == 29);
}

TEST_CASE("the rows of Table 3 add one loss after another", "[options]") {
    const auto row = [](const std::string& name) {
        return priors_of(read({kConfigs / "paper.yaml", kConfigs / "ablations" / name}));
    };
    std::set<std::string> expected;
    REQUIRE(row("table3_1_no_priors.yaml") == expected);
    expected.insert("depth_ranking");
    REQUIRE(row("table3_2_depth.yaml") == expected);
    expected.insert("normal_consistency");
    REQUIRE(row("table3_3_normal_consistency.yaml") == expected);
    expected.insert("normal");
    expected.insert("normal_tv");
    REQUIRE(row("table3_4_normal.yaml") == expected);
    REQUIRE(priors_of(read({kConfigs / "paper.yaml"})) == kPriors);
    REQUIRE(row("fig5_uncoordinated.yaml") == kPriors);
}

TEST_CASE("the normal of the depth is a constant unless its loss may move surfels", "[losses]") {
    const auto& scene = stage();
    const std::vector<std::string> columns = {"position", "rotation", "skinning"};
    const auto gradient = [&](Objective objective) {
        auto surfels = stage().avatar->forward(scene.frame.camera, scene.frame.pose);
        const auto leaves = make_leaves(surfels);
        objective->forward(surfels, scene.frame, scene.random, 0).total.backward();
        return surfels.position.grad().clone();
    };
    auto options = only({"normal_consistency"}, "strict");
    options.losses.normal_consistency.reaches = columns;
    const auto found = gradient(paper_objective(stage().avatar->parts(), options));
    const auto with = [&](bool live) {
        Objective objective;
        objective->add("normal_consistency", std::make_shared<NormalConsistencyLoss>(live), 1.0,
                       Reach::of(columns));
        return gradient(objective);
    };
    REQUIRE(torch::equal(found, with(true)));
    REQUIRE(distance(found, with(false)) > 1e-4);
}

TEST_CASE("the second row of Table 3 reads no normal prior", "[options]") {
    const auto options =
        read({kConfigs / "paper.yaml", kConfigs / "ablations" / "table3_2_depth.yaml"});
    const auto& here = stage();
    const auto total = [&](const Frame& frame) {
        auto objective = paper_objective(here.avatar->parts(), options.objective);
        auto avatar = here.avatar;
        return objective->forward(avatar->forward(frame.camera, frame.pose), frame, here.random, 1)
            .total.item<double>();
    };
    Frame without = here.frame;
    without.maps = {};
    for (const auto& [name, map] : here.frame.maps) {
        if (name != "normal") without.maps.set(name, map);
    }
    REQUIRE(total(without) == total(here.frame));
}

TEST_CASE("before geometry.start the surfels stay on the template and no code reaches the colour",
          "[avatar]") {
    auto here = make_stage(/*geometry_start=*/0.5);
    const auto& set = here.avatar->parts().surfels;
    const auto at = [&](double progress) {
        return here.avatar->forward(here.frame.camera, here.frame.pose, nullptr, progress);
    };
    const auto reached = [&](double progress) {
        here.avatar->zero_grad();
        const auto s = at(progress);
        (s.position.sum() + s.features.at("color").sum()).backward();
        const auto p = here.avatar->parts().geometry->parameters().front();
        return p.grad().defined() && p.grad().abs().max().item<double>() > 0;
    };
    const auto early = at(0.49), late = at(0.5);
    REQUIRE(torch::equal(early.position, set->position()));
    REQUIRE(torch::equal(early.rotation, set->rotation()));
    REQUIRE(torch::equal(early.scale, set->scale()));
    REQUIRE_FALSE(reached(0.49));
    REQUIRE_FALSE(torch::equal(late.position, set->position()));
    REQUIRE(reached(0.5));
    REQUIRE(torch::equal(here.avatar->forward(here.frame.camera, here.frame.pose).position,
                         late.position));
}

TEST_CASE("a term's own options stand in the term, and old keys name the new ones", "[options]") {
    const auto option = [](const std::string& argument) {
        Config config;
        config.add_argument(argument);
        RunOptions options;
        config.read(options);
        return options.objective.losses;
    };
    REQUIRE(option("losses.depth_ranking.pairs=12").depth_ranking.pairs == 12);
    REQUIRE(option("losses.photometric.ssim=0.5").photometric.ssim == 0.5);
    REQUIRE(option("losses.dino={type: l1, weight: 3}").others.at("dino").type == "l1");
    REQUIRE(option("losses.mask.weight=0").mask.weight.zero());
    const auto refused = [&](const std::string& argument, const std::string& words) {
        return throws_error([&] { option(argument); }, words);
    };
    REQUIRE(refused("photometric.ssim=0.1", "'photometric' is now called 'losses.photometric'"));
    REQUIRE(
        refused("depth_ranking.pairs=1", "'depth_ranking' is now called 'losses.depth_ranking'"));
    REQUIRE(
        refused("losses.depth.weight=1", "'losses.depth' is now called 'losses.depth_ranking'"));
    REQUIRE(refused("losses.depth_ranking.sharpnes=1",
                    "the nearest valid key is 'losses.depth_ranking.sharpness'"));
    REQUIRE(
        refused("losses.photometrik.ssim=1", "the nearest valid key is 'losses.photometric.ssim'"));
    REQUIRE(refused("losses.mask.type=l1", "unknown key 'losses.mask.type'"));
    REQUIRE(refused("losses={mask: null}", "null removes an entry, but this one is always there"));
}
