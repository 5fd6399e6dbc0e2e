// Skinning weights of every surfel as parameters of its own.
#include <fmgs/bake.h>
#include <fmgs/core/surfels.h>
#include <fmgs/fields/skinning_table.h>
#include <fmgs/losses/paper_objective.h>
#include <fmgs/losses/skin.h>
#include <fmgs/train/optim.h>

#include <algorithm>

#include "support/ball.h"
#include "support/losses.h"
#include "support/module.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

torch::Tensor draw(std::initializer_list<int64_t> shape, uint64_t seed,
                   torch::Dtype type = torch::kDouble) {
    return torch::randn(shape, Random{seed}.generator("draw"), type);
}

/// Rows of weights, some of them exactly 0 or 1.
torch::Tensor weights(int64_t surfels = 40, int64_t joints = 24) {
    auto w = (4 * draw({surfels, joints}, 1, torch::kFloat)).softmax(1);
    w = torch::where(w < 0.05, 0.0, w);
    w.slice(0, 0, 4).copy_(torch::eye(joints).slice(0, 0, 4));
    return w / w.sum(1, true);
}

/// Rigid transforms of joints, up to a radian and a metre.
torch::Tensor bones(int64_t joints, uint64_t seed) {
    return rigid(exp_map(0.6 * draw({joints, 3}, seed)), 0.5 * draw({joints, 3}, seed + 100));
}

torch::Tensor posed(const torch::Tensor& skinning, const torch::Tensor& bones,
                    const torch::Tensor& x) {
    return skin(skinning, bones, x);
}

/// Steps of the library's Adam towards posed positions.
template <class Loss>
void fit(torch::nn::Module& module, int64_t steps, const Loss& loss, OptimOptions rates = {}) {
    rates.decay = 1;
    Optimizer optimizer(grouped_parameters(module), rates);
    for (int64_t k = 0; k < steps; ++k) {
        optimizer.zero_grad();
        loss().backward();
        optimizer.step(0);
    }
}

AvatarOptions table_options(bool extra_joint = false) {
    auto options = ball_options();
    options.skinning.type = "table";
    options.skinning.extra_joint = extra_joint;
    return options;
}

Avatar table_avatar(bool extra_joint = false) {
    return Avatar(
        paper_parts(BodyModel(ball_data(), torch::zeros({0}), 0), table_options(extra_joint)));
}

}  // namespace

TEST_CASE("rows of the table sum to one, none is zero, and all are close to the template's",
          "[skinning]") {
    const auto born = weights();
    SkinningTable table(born);
    const auto w = table->forward(torch::zeros({40, 3}));
    REQUIRE_CLOSE(w.sum(1), torch::ones({40}), 1e-6);
    REQUIRE((w > 0).all().item<bool>());
    REQUIRE((w - born).abs().max().item<double>() < 2.5e-4);  // 24 times the floor
    REQUIRE(torch::equal(table->born(), born));
    REQUIRE(throws_error(
        [&] {
            table->forward(torch::zeros({41, 3}));
        },
        "positions of the skinning table's surfels"));
    const auto copy = std::dynamic_pointer_cast<SkinningTableImpl>(table->clone());
    REQUIRE(torch::equal(copy->forward(torch::zeros({40, 3})), w));
}

TEST_CASE("bones that move as one carry every surfel along, whatever its weights", "[skinning]") {
    SkinningTable table(weights());
    table->to(torch::kDouble);
    perturb(*table, 3);
    const auto one = bones(1, 5);
    const auto x = draw({40, 3}, 2);
    const auto w = table->forward(x);
    const auto moved = torch::matmul(x, one[0].slice(0, 0, 3).slice(1, 0, 3).t()) +
                       one[0].slice(0, 0, 3).select(1, 3);
    REQUIRE_CLOSE(posed(w, one.expand({24, 4, 4}), x), moved, 1e-12);
    REQUIRE_CLOSE(posed(w, torch::eye(4, torch::kDouble).expand({24, 4, 4}), x), x, 1e-12);
}

TEST_CASE("a surfel of one bone moves as that bone does", "[skinning]") {
    const auto all = bones(24, 6);
    SkinningTable table(torch::eye(24));
    table->to(torch::kDouble);
    const auto x = draw({24, 3}, 2);
    const auto turned = torch::matmul(all.slice(1, 0, 3).slice(2, 0, 3), x.unsqueeze(2)).squeeze(2);
    const auto alone = turned + all.slice(1, 0, 3).select(2, 3);
    // The floor leaves the other bones 23 times 1e-5 together, a few metres away.
    REQUIRE_CLOSE(posed(table->forward(x), all, x), alone, 1e-3);
    {
        const torch::NoGradGuard guard;
        table->parameters()[0].mul_(10);
    }
    REQUIRE_CLOSE(posed(table->forward(x), all, x), alone, 1e-12);
}

TEST_CASE("a weight of zero wakes in five steps, which a ReLU never lets it", "[skinning]") {
    // Surfels that belong to joint 0 and have to follow joint 1.
    const auto x = draw({8, 3}, 2, torch::kFloat), all = bones(2, 9).to(torch::kFloat);
    const auto born = torch::tensor({1.F, 0.F}).repeat({8, 1});
    const auto target = posed(1 - born, all, x);
    const auto loss_of = [&](const torch::Tensor& w) {
        return 1e-6 * (posed(w, all, x) - target).square().mean();  // a small share of a step's
    };
    SkinningTable table(born);
    const auto second = [&] { return table->forward(x).select(1, 1).detach().clone(); };
    auto before = second();
    for (int step = 0; step < 5; ++step) {
        fit(*table, 1, [&] { return loss_of(table->forward(x)); });
        REQUIRE((second() > before).all().item<bool>());
        before = second();
    }
    REQUIRE((before > 1.04e-5).all().item<bool>());  // 1e-2 a step in the logits, both ways

    struct Relu : torch::nn::Module, ParameterGroups {
        torch::Tensor w;
        explicit Relu(const torch::Tensor& born) { w = register_parameter("w", born.clone()); }
        torch::Tensor forward() const {
            return w.relu() / (w.relu().sum(1, true) + 1e-5);  // HRAvatar's
        }
        std::string parameter_group(const std::string&) const override { return "skinning_table"; }
    } relu(born);
    fit(relu, 5, [&] { return loss_of(relu.forward()); });
    REQUIRE((relu.forward().select(1, 1) == 0).all().item<bool>());
}

TEST_CASE("the further joint starts at nothing, goes with the root, never turns, and wakes",
          "[skinning]") {
    const auto born = torch::tensor({1.F, 0.F}).repeat({8, 1});
    const auto pivot = torch::tensor({0.1F, 0.7F, -0.2F});
    SkinningTable table(born, pivot);
    const auto x = draw({8, 3}, 2, torch::kFloat), body = bones(2, 9).to(torch::kFloat);
    const auto all = table->bones(body);
    REQUIRE(torch::equal(all.slice(0, 0, 2), body));
    const auto extra = torch::tensor({{0.F, 0.F, 1.F}}).expand({8, 3});
    const auto root = posed(torch::tensor({{1.F, 0.F}}), body, pivot.unsqueeze(0));
    REQUIRE_CLOSE(posed(extra, all, x), x - pivot + root, 1e-6);
    REQUIRE_CLOSE(table->bones(torch::eye(4).repeat({2, 1, 1})), torch::eye(4).repeat({3, 1, 1}),
                  1e-7);
    REQUIRE(torch::equal(table->born().select(1, 2), torch::zeros({8})));
    fit(*table, 60,
        [&] { return (posed(table->forward(x), all, x) - posed(extra, all, x)).square().mean(); },
        {.skinning_table = 0.3});
    REQUIRE(table->forward(x).select(1, 2).min().item<double>() > 0.9);
    const auto copy = std::dynamic_pointer_cast<SkinningTableImpl>(table->clone());
    REQUIRE(torch::equal(copy->forward(x), table->forward(x)));
    REQUIRE(torch::equal(copy->bones(body), all));
}

TEST_CASE("from perturbed weights the posed positions of the true ones are found", "[skinning]") {
    const auto truth = weights(30, 4).to(torch::kDouble);
    SkinningTable table(truth);
    table->to(torch::kDouble);
    perturb(*table, 1);
    const auto x = draw({30, 3}, 2);
    std::vector<torch::Tensor> poses;
    for (uint64_t k = 0; k < 6; ++k) poses.push_back(bones(4, 20 + k));
    const auto miss = [&] {
        torch::Tensor sum = torch::zeros({}, torch::kDouble);
        for (const auto& pose : poses)
            sum = sum + (posed(table->forward(x), pose, x) - posed(truth, pose, x)).square().mean();
        return sum / double(poses.size());
    };
    REQUIRE(std::sqrt(miss().item<double>()) > 0.05);  // metres
    fit(*table, 400, miss, {.skinning_table = 0.05});
    REQUIRE(std::sqrt(miss().item<double>()) < 2e-3);
    // Six poses of generic bones say what the weights are.
    REQUIRE((table->forward(x) - truth).abs().max().item<double>() < 0.01);
}

TEST_CASE("the gradient of the table is that of the formula", "[skinning]") {
    SkinningTable table(weights(5, 4), torch::tensor({0.1F, 0.7F, -0.2F}));
    table->to(torch::kDouble);
    const auto x = draw({5, 3}, 2), body = bones(4, 9);
    REQUIRE(parameter_gradient_error(*table, [&] {
                return posed(table->forward(x), table->bones(body), x).square().sum();
            }) < 1e-6);
}

TEST_CASE("the skin loss of a table is its distance from the template's weights", "[skinning]") {
    auto avatar = table_avatar();
    auto objective = paper_objective(avatar->parts());
    std::shared_ptr<Loss> loss;
    for (const auto& entry : objective->entries())
        if (entry.name == "skin") loss = entry.loss;
    REQUIRE(std::dynamic_pointer_cast<SkinningTableLoss>(loss));
    const auto table = std::dynamic_pointer_cast<SkinningTableImpl>(avatar->parts().skinning);
    const auto s = avatar->forward(ball_frame().camera, ball_pose());
    const auto value = [&] {
        const Maps none;
        return loss->forward({s, s.posed(), none, ball_frame(), Random{}});
    };
    REQUIRE(value().item<double>() < 1e-9);
    perturb(*table, 1);
    const auto w = table->forward(s.position).detach();
    REQUIRE(value().item<double>() ==
            Approx((w - table->born()).square().sum(1).mean().item<double>()).epsilon(1e-6));
    value().backward();
    for (const auto& parameter : grouped_parameters(*avatar)) {
        INFO(parameter.name);
        REQUIRE(parameter.tensor.grad().defined() == (parameter.name == "skinning.logits"));
    }
    REQUIRE(throws_error([] { SkinningTableLoss(nullptr); }, "got null"));
    REQUIRE(loss->parameters().empty());
}

TEST_CASE("an untrained avatar with a table poses the template", "[skinning]") {
    for (const bool extra : {false, true}) {
        auto avatar = table_avatar(extra);
        const auto body = avatar->parts().body;
        const auto s = avatar->forward(ball_frame().camera, ball_pose());
        REQUIRE(s.skinning.size(1) == (extra ? 4 : 3));
        const auto bare = template_surfels(*body, *avatar->parts().surfels, 0, ball_pose());
        REQUIRE_CLOSE(s.posed().center, bare.posed().center, 1e-4);
        const auto groups = grouped_parameters(*avatar);
        REQUIRE(std::any_of(groups.begin(), groups.end(), [](const auto& p) {
            return p.name == "skinning.logits" && p.group == "skinning_table";
        }));
    }
    auto options = ball_options();
    options.skinning.extra_joint = true;
    const BodyModel body(ball_data(), torch::zeros({0}), 0);
    REQUIRE(throws_error([&] { paper_parts(body, options); }, "only a table has one"));
}

TEST_CASE("a further joint is refused where a body's joints are all there is", "[skinning]") {
    AvatarScene scene;
    scene.frames = {"a"};
    scene.axis_angle = torch::zeros({1, 3, 3});
    scene.translation = torch::tensor({{0.F, 0.F, 2.F}});
    scene.camera = ball_frame().camera;
    scene.root = torch::zeros({3}), scene.up = torch::tensor({0.F, -1.F, 0.F});
    const BakeOptions options{.components = 0, .views = 1};
    REQUIRE(throws_error([&] { bake(table_avatar(true), scene, options); },
                         "avatar.skinning.extra_joint=false"));
    const auto baked = bake(table_avatar(), scene, options);
    REQUIRE_CLOSE(baked->parts().bone_weight.sum(1), torch::ones({128}), 1e-5);
}
