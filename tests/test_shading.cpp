// Fields that read the posed surfel: the routing table holds for them, too.
#include <fmgs/losses/objective.h>
#include <fmgs/losses/routes.h>
#include <fmgs/run/draw.h>

#include "support/ball.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

/// Everything that a shader may read, weighed so that each of it matters.
struct Shiny : Appearance {
    torch::Tensor tint = register_parameter("tint", torch::tensor({0.2F, 0.1F, -0.3F}));
    int calls = 0;
    bool reads_posed() const override { return true; }
    torch::Tensor forward(const FieldInput& in) override {
        ++calls;
        const auto light = torch::tensor({0.3F, -0.5F, -0.8F}, in.position.options());
        const auto lambert = in.posed->normal.matmul(light).clamp_min(0).unsqueeze(1);
        const auto away = in.eye - in.posed->center;
        const auto near = (away.square().sum(1, true) + 0.1).reciprocal();
        const auto turned = in.posed->transform.select(1, 0).select(1, 1).unsqueeze(1);
        return torch::sigmoid(tint + lambert + near + 0.2 * turned + 0.3 * in.position);
    }
};

struct Stage {
    std::shared_ptr<Shiny> shiny = std::make_shared<Shiny>();
    Avatar avatar{nullptr};
    Frame frame = ball_frame();
    Surfels leaves;

    Stage() {
        auto parts = paper_parts(BodyModel(ball_data(), torch::zeros({0}), 0), ball_options());
        parts.appearance = shiny;
        avatar = Avatar(parts);
        perturb(*avatar);
        leaves = avatar->forward(frame.camera, frame.pose);
        for (auto* x : {&leaves.position, &leaves.rotation, &leaves.scale, &leaves.opacity,
                        &leaves.skinning, &leaves.bones})
            *x = x->detach().clone().requires_grad_(true);
    }
    /// Largest gradient of the colour, posed with this reach, in each leaf: 0 where none arrives.
    std::map<std::string, double> gradients(const Reach& reach) {
        const auto color = leaves.posed(reach).features.at("color");
        const std::vector<std::string> names{"position", "rotation", "scale", "opacity",
                                             "skinning", "bones",    "tint"};
        const auto found =
            torch::autograd::grad({(color * color).sum() + 0 * shiny->tint.sum()},
                                  {leaves.position, leaves.rotation, leaves.scale, leaves.opacity,
                                   leaves.skinning, leaves.bones, shiny->tint},
                                  {}, {}, false, /*allow_unused=*/true);
        std::map<std::string, double> out;
        for (size_t k = 0; k < names.size(); ++k)
            out[names[k]] = found[k].defined() ? found[k].abs().max().item<double>() : 0;
        return out;
    }
};

struct Bright : Loss {
    std::vector<std::string> needs() const override { return {"color"}; }
    torch::Tensor forward(const LossInput& in) override {
        return 1 - in.rendered.at("color").mean();
    }
};

}  // namespace

TEST_CASE("a shader whose reach is its colour alone moves nothing of the surfel", "[shading]") {
    for (auto& [name, size] : Stage().gradients(Reach::of({"color"}))) {
        INFO(name);
        if (name == "tint")
            REQUIRE(size > 0);
        else
            REQUIRE(size == 0);
    }
}

TEST_CASE("in the photometric row a shader moves position, rotation and skinning", "[shading]") {
    const auto found = Stage().gradients(routing_table("strict").rows.at("photometric"));
    for (const auto* name : {"position", "rotation", "skinning", "bones", "tint"}) {
        INFO(name);
        REQUIRE(found.at(name) > 1e-9);
    }
}

TEST_CASE("a shader whose colour is closed moves nothing at all", "[shading]") {
    const auto reach = routing_table("strict").rows.at("mask");
    for (auto& [name, size] : Stage().gradients(reach)) {
        INFO(name);
        REQUIRE(size == 0);
    }
}

TEST_CASE("a shader reaches the surfel through open columns only", "[shading]") {
    Stage stage;
    auto found = stage.gradients(Reach::of({"rotation", "color"}));
    REQUIRE(found.at("rotation") > 1e-9);
    for (const auto* name : {"position", "skinning", "bones"}) REQUIRE(found.at(name) == 0);
    found = stage.gradients(Reach::of({"position", "color"}));
    REQUIRE(found.at("position") > 1e-9);
    for (const auto* name : {"rotation", "skinning", "bones"}) REQUIRE(found.at(name) == 0);
}

TEST_CASE("a shader gives the same values whatever the reach", "[shading]") {
    Stage stage;
    const auto color = [&](const Reach& reach) {
        return stage.leaves.posed(reach).features.at("color");
    };
    for (const auto& columns :
         std::vector<std::vector<std::string>>{{}, {"color"}, {"position", "skinning"}})
        REQUIRE(torch::equal(color(Reach::of(columns)), color(Reach::everything())));
    REQUIRE_FALSE(stage.leaves.features.contains("color"));
}

TEST_CASE("the objective shades once for each geometry reach and keeps to the rows", "[shading]") {
    Stage stage;
    const auto& frame = stage.frame;
    const auto gradient = [&](const std::vector<std::vector<std::string>>& rows) {
        Objective objective;
        for (size_t k = 0; k < rows.size(); ++k)
            objective->add("bright" + std::to_string(k), std::make_shared<Bright>(), 1.0,
                           Reach::of(rows[k]));
        stage.avatar->zero_grad();
        stage.shiny->calls = 0;
        const auto surfels = stage.avatar->forward(frame.camera, frame.pose);
        objective->forward(surfels, frame, {}, 0).total.backward();
        const auto grad = stage.avatar->named_parameters()["skinning.mlp.weight0"].grad();
        return grad.defined() ? grad.abs().max().item<double>() : 0.0;
    };
    REQUIRE(gradient({{"color"}}) == 0);
    REQUIRE(stage.shiny->calls == 1);
    REQUIRE(gradient({{"color"}, {"color"}}) == 0);
    REQUIRE(stage.shiny->calls == 1);
    REQUIRE(gradient({{"color"}, {"position", "rotation", "skinning", "color"}}) > 0);
    REQUIRE(stage.shiny->calls == 2);
}

TEST_CASE("a map whose field reads the posed surfel is drawn as the others", "[shading]") {
    const Stage stage;
    const auto maps = draw(stage.avatar, stage.frame.camera, stage.frame.pose);
    for (const auto* name : {"color", "alpha", "depth", "normal", "semantic"}) {
        INFO(name);
        REQUIRE(maps.contains(name));
    }
    REQUIRE(maps.at("color").max().item<double>() > 0.1);
}
