#include <fmgs/losses/normal.h>
#include <fmgs/losses/routes.h>

#include <fstream>
#include <regex>

#include "support/stage.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

// The avatar's surfels as double leaves, each with a bone of its own: T of a surfel is then a leaf,
// whose effect on the centre and on the tangents can be told apart.
Surfels probe() {
    auto& [avatar, frame, random] = stage();
    torch::NoGradGuard guard;
    const auto leaf = [](const torch::Tensor& x) {
        return x.to(torch::kDouble).clone().requires_grad_(true);
    };
    const auto s = avatar->forward(frame.camera, frame.pose);
    Surfels out;
    out.position = leaf(s.position);
    out.rotation = leaf(s.rotation);
    out.scale = leaf(s.scale);
    out.opacity = leaf(s.opacity);
    out.skinning = torch::eye(s.size(), kDoubles);
    out.bones = leaf(blend_bones(s.skinning, s.bones));
    for (const auto& [name, value] : s.features) out.features.set(name, leaf(value));
    for (const auto& [name, value] : s.latents) out.latents.set(name, leaf(value));
    return out;
}

Frame double_frame() {
    Frame frame = stage().frame;
    frame.camera.rotation = frame.camera.rotation.to(torch::kDouble);
    frame.camera.translation = frame.camera.translation.to(torch::kDouble);
    frame.camera.intrinsics = frame.camera.intrinsics.to(torch::kDouble);
    return frame;
}

using Gradients = std::map<std::string, torch::Tensor>;

// What each column receives; a tensor of zeros where the gradient is undefined.
Gradients gradients(const torch::Tensor& total, const Surfels& s) {
    const std::vector<std::string> names = {"position", "rotation", "scale",
                                            "opacity",  "bones",    "color",
                                            "semantic", "dino",     "semantic.latent"};
    const std::vector<torch::Tensor> leaves = {s.position,
                                               s.rotation,
                                               s.scale,
                                               s.opacity,
                                               s.bones,
                                               s.features.at("color"),
                                               s.features.at("semantic"),
                                               s.features.at("dino"),
                                               s.latents.at("semantic")};
    const auto found = torch::autograd::grad({total + 0 * s.position.sum()}, leaves, {}, {}, false,
                                             /*allow_unused=*/true);
    Gradients out;
    for (size_t k = 0; k < names.size(); ++k) {
        out[names[k]] = found[k].defined() ? found[k] : torch::zeros_like(leaves[k]);
    }
    const auto bones = out["bones"];
    out.erase("bones");
    const auto translation = bones.narrow(1, 0, 3).select(2, 3);
    out["T of the centre"] = translation;
    out["T of the tangents"] = bones.narrow(1, 0, 3).narrow(2, 0, 3) -
                               translation.unsqueeze(2) * s.position.detach().unsqueeze(1);
    return out;
}

LossReport evaluate(const ObjectiveOptions& options, const Surfels& s) {
    auto objective = paper_objective(stage().avatar->parts(), options);
    return objective->forward(s, double_frame(), stage().random, 0.5);
}

}  // namespace

TEST_CASE("every loss reaches the columns of its row, and no other", "[losses]") {
    for (const std::string table : {"measured", "strict", "literal", "off"}) {
        const auto reaches = routing_table(table).rows;
        for (const auto& row : routing::kRows) {
            const std::string name = row.loss;
            // lpips needs weights, materials another avatar (test_material); the others read no
            // surfel
            if (name == "lpips" || name == "skin" || name == "blendshapes" || name == "albedo" ||
                name == "roughness_tv")
                continue;
            const auto s = probe();
            const auto found = gradients(evaluate(only({name}, table), s).total, s);
            const Reach& reach = reaches.at(name);
            // iso_covariance reads no centre: its position is that of w(μ′), see below
            const bool centre = reach.position && name != "iso_covariance";
            const std::map<std::string, bool> expected = {
                {"position", centre},
                {"rotation", reach.rotation},
                {"scale", reach.scale},
                {"opacity", reach.opacity},
                {"T of the centre", reach.skinning && centre},
                {"T of the tangents", reach.skinning && reach.rotation},
                {"color", std::string(row.feature) == "color"},
                {"semantic", std::string(row.feature) == "semantic"},
                {"semantic.latent", std::string(row.feature) == "semantic.latent"},
                {"dino", false}};
            for (const auto& [column, open] : expected) {
                INFO(table << ": " << name << " -> " << column);
                const double size = found.at(column).abs().max().item<double>();
                REQUIRE(std::isfinite(size));
                if (open) REQUIRE(size > 1e-9);
                // The tangents' share of T is a difference of products: rounding is left of it
                // where it is closed.
                else if (column == "T of the tangents")
                    REQUIRE(size < 1e-12);
                else
                    REQUIRE(size == 0);
            }
        }
    }
}

TEST_CASE("a closed position is closed on every path, through the skinning weights as well",
          "[losses]") {
    auto& [avatar, frame, random] = stage();
    for (const std::string table : {"measured", "strict", "literal", "off"}) {
        const auto reaches = routing_table(table).rows;
        for (const auto& name : table_rows()) {
            auto objective = paper_objective(avatar->parts(), only({name}, table));
            const auto s = avatar->forward(frame.camera, frame.pose);
            const auto total = objective->forward(s, frame, random, 0.5).total;
            const auto found = torch::autograd::grad({total}, {s.position}, {}, {}, false,
                                                     /*allow_unused=*/true)[0];
            const double size = found.defined() ? found.abs().max().item<double>() : 0;
            INFO(table << ": " << name);
            if (reaches.at(name).position)
                REQUIRE(size > 1e-9);
            else
                REQUIRE(size == 0);
        }
    }
}

TEST_CASE("the tables are the rules of §4.5", "[losses]") {
    const auto geometry = [](const Reach& reach) {
        std::set<std::string> open;
        if (reach.position) open.insert("position");
        if (reach.rotation) open.insert("rotation");
        if (reach.scale) open.insert("scale");
        if (reach.opacity) open.insert("opacity");
        if (reach.skinning) open.insert("skinning");
        return open;
    };
    const std::set<std::string> all = {"position", "rotation", "scale", "opacity", "skinning"},
                                turned = {"rotation"}, none;
    const std::map<std::string, std::set<std::string>> printed = {
        {"photometric", all},
        {"mask", all},
        {"depth_ranking", {"position", "skinning"}},  // (1): depth does not turn surfels
        {"normal_consistency", turned},               // (2): normals do not move them
        {"normal", turned},
        {"normal_tv", turned},
        {"semantic", none},  // (3): labels do neither
        {"semantic_smoothness", none},
        {"iso_position", {"position", "skinning"}},
        {"iso_covariance", {"position", "rotation", "scale", "skinning"}},
        {"skin", none}};
    const auto strict = routing_table("strict").rows, measured = routing_table("measured").rows,
               literal = routing_table("literal").rows;
    REQUIRE(printed.size() == table_rows().size());
    for (const auto& table : {strict, measured, literal, routing_table("off").rows})
        REQUIRE(geometry(table.at("blendshapes")) == none);
    for (const auto& [name, open] : printed) {
        INFO(name);
        REQUIRE(geometry(strict.at(name)) == open);
        auto wider = open;
        if (name == "normal" || name == "normal_consistency")
            wider = {"position", "rotation", "skinning"};
        REQUIRE(geometry(measured.at(name)) == wider);
        // The paper closes neither scale nor opacity to what reads depth, normals or labels.
        wider = open;
        for (const std::string map : {"depth", "normal", "semantic"})
            if (name.starts_with(map) && name != "semantic_smoothness")
                wider.insert({"scale", "opacity"});
        REQUIRE(geometry(literal.at(name)) == wider);
    }
    REQUIRE(strict.at("photometric").features == std::set<std::string>{"color"});
    REQUIRE(strict.at("semantic").features == std::set<std::string>{"semantic"});
    REQUIRE(strict.at("semantic_smoothness").features == std::set<std::string>{"semantic.latent"});
    REQUIRE(strict.at("mask").features.empty());
}

TEST_CASE("every term of the paper has a row, and an unknown row is an error", "[losses]") {
    const auto table = routing_table("strict");
    size_t terms = 0;
    EachTerm each{[&](const std::string& name, auto&) {
        INFO(name);
        REQUIRE(has_row(name));
        REQUIRE_NOTHROW(table.reach(name));
        ++terms;
    }};
    LossOptions losses;
    losses.visit(each);
    REQUIRE(terms == table_rows().size() + 4);  // and those that it leaves out
    REQUIRE_FALSE(has_row("photometrik"));
    REQUIRE(throws_error([&] { table.reach("photometrik"); },
                         "routing table: there is no row 'photometrik'; the nearest is "
                         "'photometric'"));
    REQUIRE(table.reach("semantic", "dino").features == std::set<std::string>{"dino"});
}

TEST_CASE("the value of a loss does not depend on the routes", "[losses]") {
    const auto s = probe();
    const auto strict = evaluate(only(table_rows(), "strict"), s);
    for (const std::string table : {"measured", "literal", "off"}) {
        const auto other = evaluate(only(table_rows(), table), s);
        REQUIRE(other.terms.size() == strict.terms.size());
        for (size_t k = 0; k < strict.terms.size(); ++k) {
            INFO(table << ": " << strict.terms[k].name);
            REQUIRE(torch::equal(other.terms[k].value, strict.terms[k].value));
        }
        for (const auto& [name, map] : strict.rendered)
            REQUIRE(torch::equal(other.rendered.at(name), map));
    }
}

TEST_CASE("one pass over all routes gives the sum of the gradients of single losses", "[losses]") {
    for (const std::string table : {"measured", "strict", "literal", "off"}) {
        const auto s = probe();
        const auto together = gradients(evaluate(only(table_rows(), table), s).total, s);
        Gradients sum;
        for (const auto& name : table_rows()) {
            for (const auto& [column, g] : gradients(evaluate(only({name}, table), s).total, s)) {
                sum[column] = sum.count(column) ? sum[column] + g : g;
            }
        }
        for (const auto& [column, g] : together) {
            INFO(table << ": " << column);
            REQUIRE_CLOSE(g, sum.at(column), 1e-10);
        }
    }
}

TEST_CASE("two losses may read one map and reach it differently", "[losses]") {
    // of one geometry and another cut of the colour; of another geometry and the same cut
    const std::vector<std::vector<std::string>> reaches = {
        {"position", "rotation", "scale", "opacity", "skinning"}, {"opacity", "color"}};
    for (const auto& reach : reaches) {
        auto first = only({"photometric"}, "strict"), both = first;
        both.losses.others["second"] = map_term(1.0, "l1", "color", reach);
        auto second = only({}, "strict");
        second.losses.others = both.losses.others;
        const auto s = probe();
        const auto a = gradients(evaluate(first, s).total, s),
                   b = gradients(evaluate(second, s).total, s),
                   together = gradients(evaluate(both, s).total, s);
        for (const std::string column : {"position", "opacity", "color"}) {
            INFO(column);
            const bool open = std::find(reach.begin(), reach.end(), column) != reach.end();
            REQUIRE((b.at(column).abs().max().item<double>() > 1e-9) == open);
        }
        for (const auto& [column, g] : together)
            REQUIRE_CLOSE(g, a.at(column) + b.at(column), 1e-10);
    }
}

TEST_CASE("a row of the configuration replaces that of the table", "[losses]") {
    auto options = only({"depth_ranking"}, "strict");
    options.losses.depth_ranking.reaches = {"position", "opacity"};
    const auto s = probe();
    const auto found = gradients(evaluate(options, s).total, s);
    REQUIRE(found.at("opacity").abs().max().item<double>() > 1e-9);
    REQUIRE(found.at("T of the centre").abs().max().item<double>() == 0);
    options.losses.depth_ranking.reaches = {"positon"};
    REQUIRE(throws_error([&] { evaluate(options, s); },
                         "losses.depth_ranking.reaches: there is no column 'positon'; the nearest "
                         "is 'position'"));
    options.losses.depth_ranking.reaches = {"rotation", "skinning"};
    REQUIRE(throws_error([&] { evaluate(options, s); },
                         "losses.depth_ranking.reaches: reach: 'skinning'"));
    REQUIRE(throws_error([&] { evaluate(only({}, "loose"), s); },
                         "expected measured, strict, literal or off, got 'loose'"));
}

TEST_CASE("a map that a loss only looks at comes from any route, without a gradient", "[losses]") {
    struct Looker : Loss {
        std::string map = "normal";
        torch::Tensor seen, alpha;
        std::vector<std::string> needs() const override { return {"alpha"}; }
        std::vector<std::string> looks_at() const override { return {map}; }
        torch::Tensor forward(const LossInput& in) override {
            seen = in.rendered.at(map);
            alpha = in.rendered.at("alpha");
            return alpha.sum();
        }
    };
    auto& [avatar, frame, random] = stage();
    const auto surfels = avatar->forward(frame.camera, frame.pose);
    const auto looker = std::make_shared<Looker>();
    const auto look = [&](bool beside_normal) {
        Objective objective;
        objective->add("looker", looker, 1.0, Reach::of({"opacity"}));
        if (beside_normal)
            objective->add("normal", std::make_shared<NormalLoss>(), 1.0, Reach::of({"rotation"}));
        objective->forward(surfels, frame, random, 0);
        REQUIRE_FALSE(looker->seen.requires_grad());
        REQUIRE(looker->alpha.requires_grad());
        return looker->seen;
    };
    const auto lent = look(true), own = look(false);
    REQUIRE(lent.abs().sum().item<double>() > 0);
    REQUIRE(torch::equal(lent, own));
    looker->map = "alpha";  // needed as well: that one keeps its gradient
    Objective objective;
    objective->add("looker", looker, 1.0, Reach::of({"opacity"}));
    objective->forward(surfels, frame, random, 0);
    REQUIRE(looker->seen.requires_grad());
    looker->map = "semantic";
    REQUIRE(throws_error([&] { objective->forward(surfels, frame, random, 0); },
                         "loss 'looker' looks at the map 'semantic'"));
}

TEST_CASE("nothing but the routing table's cuts detaches anything", "[losses]") {
    // Files that may cut, and why; each of their cuts says so in a comment on its line or the one
    // above.
    const std::set<std::string> allowed = {
        "core/surfels.cpp",              // executes the table
        "losses/normal.cpp",             // N̂
        "losses/objective.cpp",          // reports
        "losses/pose_smoothness.cpp",    // neighbours of the frame
        "losses/render_plan.cpp",        // maps lent by another route
        "raster/render.cpp",             // alpha and depth borrowed from another route
        "avatar.cpp",                    // view direction, encoder input, where a field is
        "fields/environment_light.cpp",  // a closed column moves no light
        "fields/material.cpp",           // shading moves no surfel unless it may; pixel coordinates
        "core/module.cpp",               // another type, and copies: the handles stay
        "core/io/npz_writer.cpp",        // bytes on their way into a file
        "core/io/obj.cpp",               // likewise
        "core/io/safetensors.cpp",       // likewise
    };
    const std::regex cut(
        R"((\.|->|::)(detach_?|variable_data|tensor_data|stop_gradient)\(|requires_grad_\(false\)|set_data\()");
    const std::regex guard(R"(NoGradGuard|InferenceMode|AutoGradMode)");
    const std::regex comment(R"(//)");
    const auto root = std::filesystem::path(FMGS_SOURCE_DIR) / "fmgs";
    size_t cuts = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
        const auto name = std::filesystem::relative(entry.path(), root).string();
        const auto part = name.substr(0, name.find('/'));
        const bool method = part == "core" || part == "fields" || part == "raster" ||
                            part == "losses" || name == "avatar.cpp";
        if (!method || !entry.is_regular_file()) continue;
        std::ifstream in(entry.path());
        for (std::string line; std::getline(in, line);) {
            const auto code = line.substr(0, line.find("//"));
            INFO(name << ": " << line);
            if (std::regex_search(code, cut)) {
                ++cuts;
                REQUIRE(allowed.count(name) == 1);
            }
            // Initial values and constants of a field may be set without a graph; the line says
            // which.
            if (std::regex_search(code, guard)) REQUIRE(std::regex_search(line, comment));
        }
    }
    REQUIRE(cuts >= 6);
}
