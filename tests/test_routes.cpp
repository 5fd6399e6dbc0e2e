#include <fmgs/avatar.h>
#include <fmgs/core/rotation.h>
#include <fmgs/losses/paper_objective.h>
#include <fmgs/losses/routes.h>

#include <fstream>
#include <regex>

#include "support/losses.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

// A ball of 128 faces on three joints: large, slanted, overlapping surfels (σ of some 4 px).
BodyModel ball() {
    Mesh mesh{
        torch::tensor({1., 0., 0., -1., 0., 0., 0., 1., 0., 0., -1., 0., 0., 0., 1., 0., 0., -1.})
            .view({6, 3}),
        torch::tensor({0, 2, 4, 2, 1, 4, 1, 3, 4, 3, 0, 4, 2, 0, 5, 1, 2, 5, 3, 1, 5, 0, 3, 5})
            .view({8, 3})};
    for (int k = 0; k < 2; ++k) {
        mesh = subdivide(mesh).mesh;
        mesh.vertices = mesh.vertices / mesh.vertices.norm(2, 1, true);
    }
    BodyData data;
    data.vertices = (0.5 * mesh.vertices).to(torch::kFloat);
    data.faces = mesh.faces;
    const int64_t count = data.vertices.size(0);
    data.weights = torch::softmax(4 * data.vertices, 1);
    data.joint_regressor = torch::softmax(6 * data.vertices.t(), 1);
    data.parents = torch::tensor({-1, 0, 1}, torch::kLong);
    data.shape_directions = torch::zeros({count, 3, 0});
    return BodyModel(data, torch::zeros({0}), /*star_degrees=*/0);
}

struct Stage {
    Avatar avatar{nullptr};
    Frame frame;
    Random random{.seed = 5, .step = 11};
};

Stage make_stage() {
    const HashGridOptions volume{.levels = 4,
                                 .features_per_level = 2,
                                 .base_resolution = 4,
                                 .finest_resolution = 16,
                                 .log2_hashmap_size = 10};
    AvatarOptions options;
    options.subdivisions = 0;
    options.geometry.volume = options.appearance.volume = options.skinning.volume = volume;
    options.skinning.hidden = options.geometry.hidden = 16;
    options.modalities = {
        {"semantic", {.volume = volume, .channels = 5, .hidden = 16, .folder = ""}},
        {"dino", {.volume = volume, .channels = 6, .hidden = 16, .folder = ""}}};
    Stage stage;
    stage.avatar = Avatar(paper_parts(ball(), options));
    torch::NoGradGuard guard;
    auto noise = Random{.seed = 9}.generator("heads");
    for (auto& p : stage.avatar->parameters())
        p.add_(0.1 * torch::randn(p.sizes(), noise, p.options().requires_grad(false)));

    constexpr int64_t kSize = 40;
    auto& frame = stage.frame;
    frame.name = "f0";
    frame.camera = {.rotation = torch::eye(3),
                    .translation = torch::zeros({3}),
                    .intrinsics = torch::tensor({70.f, 70.f, 20.f, 20.f}),
                    .width = kSize,
                    .height = kSize};
    frame.pose = {exp_map(0.3 * torch::randn({3, 3}, Random{.seed = 2}.generator("pose"),
                                             torch::TensorOptions())),
                  torch::tensor({0.f, 0.f, 2.f})};
    auto mask = torch::zeros({1, kSize, kSize});
    mask.narrow(1, 4, 32).narrow(2, 4, 32).fill_(1);
    auto normal = uniform({3, kSize, kSize}, -1, 1, 4);
    normal[2].fill_(-1);
    frame.maps = {{"color", uniform({3, kSize, kSize}, 0, 1, 2)},
                  {"mask", mask},
                  {"depth", uniform({1, kSize, kSize}, 1, 2, 3)},
                  {"normal", normal / normal.norm(2, 0, true)},
                  {"semantic", torch::randint(1, 5, {kSize, kSize},
                                              Random{.seed = 6}.generator("labels"), torch::kLong)},
                  {"dino", uniform({6, kSize, kSize}, -1, 1, 7)}};
    return stage;
}

Stage& stage() {
    static Stage instance = make_stage();
    return instance;
}

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

ObjectiveOptions only(const std::vector<std::string>& names, const std::string& routing) {
    ObjectiveOptions options;
    options.routing = routing;
    for (auto& [name, term] : options.losses) {
        term.weight = std::find(names.begin(), names.end(), name) != names.end() ? 1.0 : 0.0;
    }
    return options;
}

LossReport evaluate(const ObjectiveOptions& options, const Surfels& s) {
    auto objective = paper_objective(stage().avatar->parts(), options);
    return objective->forward(s, double_frame(), stage().random, 0.5);
}

std::vector<std::string> table_rows() {
    std::vector<std::string> names;
    for (const auto& row : routing::kRows) {
        if (std::string(row.loss) != "lpips") names.push_back(row.loss);
    }
    return names;
}

}  // namespace

TEST_CASE("every loss reaches the columns of its row, and no other", "[losses]") {
    for (const std::string table : {"measured", "strict", "literal", "off"}) {
        const auto reaches = routing_table(table).rows;
        for (const auto& row : routing::kRows) {
            const std::string name = row.loss;
            if (name == "lpips" || name == "skin")
                continue;  // lpips needs weights; skin reads no surfel
            const auto s = probe();
            const auto found = gradients(evaluate(only({name}, table), s).total, s);
            const Reach& reach = reaches.at(name);
            const Gradients none;
            const std::map<std::string, bool> expected = {
                {"position", reach.position},
                {"rotation", reach.rotation},
                {"scale", reach.scale},
                {"opacity", reach.opacity},
                {"T of the centre", reach.skinning && reach.position},
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
    auto first = only({"photometric"}, "strict"), both = first;
    both.losses["closed"] = {.weight = 1.0,
                             .type = "l1",
                             .map = "color",
                             .reaches = {"position", "rotation", "scale", "opacity", "skinning"}};
    auto second = only({}, "strict");
    second.losses["closed"] = both.losses["closed"];
    const auto s = probe();
    const auto a = gradients(evaluate(first, s).total, s),
               b = gradients(evaluate(second, s).total, s),
               together = gradients(evaluate(both, s).total, s);
    REQUIRE(b.at("color").abs().max().item<double>() == 0);
    REQUIRE(b.at("position").abs().max().item<double>() > 1e-9);
    for (const auto& [column, g] : together) REQUIRE_CLOSE(g, a.at(column) + b.at(column), 1e-10);
}

TEST_CASE("a row of the configuration replaces that of the table", "[losses]") {
    auto options = only({"depth_ranking"}, "strict");
    options.losses["depth_ranking"].reaches = {"position", "opacity"};
    const auto s = probe();
    const auto found = gradients(evaluate(options, s).total, s);
    REQUIRE(found.at("opacity").abs().max().item<double>() > 1e-9);
    REQUIRE(found.at("T of the centre").abs().max().item<double>() == 0);
    options.losses["depth_ranking"].reaches = {"positon"};
    REQUIRE(throws_error([&] { evaluate(options, s); },
                         "losses.depth_ranking.reaches: there is no column 'positon'"));
    options.losses["depth_ranking"].reaches = {"skinning"};
    REQUIRE(throws_error([&] { evaluate(options, s); },
                         "losses.depth_ranking.reaches: reach: 'skinning'"));
    REQUIRE(throws_error([&] { evaluate(only({}, "loose"), s); },
                         "expected measured, strict, literal or off, got 'loose'"));
}

TEST_CASE("a modality of one's own needs options alone, and reaches its own field", "[losses]") {
    auto options = only({}, "strict");
    options.losses["dino"] = {.weight = 0.1, .type = "cosine"};
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
    options.losses["clip"] = {.weight = 0.1, .type = "cosine"};
    REQUIRE(throws_error([&] { paper_objective(parts, options); },
                         "add modalities.clip or set losses.clip.weight to 0"));
    options.losses["clip"].type = "huber";
    REQUIRE(throws_error([&] { paper_objective(parts, options); },
                         "losses.clip.type: expected one of photometric"));
}

TEST_CASE("nothing but the routing table's cuts detaches anything", "[losses]") {
    // Files that may cut, and why; each of their cuts says so in a comment on its line or the one
    // above.
    const std::set<std::string> allowed = {
        "core/surfels.cpp",         // executes the table
        "losses/normal.cpp",        // N̂
        "losses/objective.cpp",     // reports
        "raster/render.cpp",        // alpha and depth borrowed from another route
        "avatar.cpp",               // view direction, encoder input, where a field is
        "core/module.cpp",          // another type, and copies: the handles stay
        "core/io/npy.cpp",          // bytes on their way into a file
        "core/io/obj.cpp",          // likewise
        "core/io/safetensors.cpp",  // likewise
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
