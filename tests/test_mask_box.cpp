// The objective gives losses that stay in the mask the box around it alone.
#include <fmgs/losses/depth_ranking.h>
#include <fmgs/losses/map_losses.h>
#include <fmgs/losses/mask_box.h>
#include <fmgs/losses/normal.h>
#include <fmgs/losses/objective.h>
#include <fmgs/losses/render_plan.h>
#include <fmgs/losses/roughness.h>
#include <fmgs/raster/render.h>

#include "support/losses.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

/// A picture of 11×12 with a mask of 6×5 that has a hole, at row 3 and column 4, and all that
/// losses read. A gradient to a rendered map is one to a leaf.
LossScene masked_scene() {
    LossScene scene(11, 12);
    auto mask = torch::zeros({1, 11, 12}, kDoubles);
    mask.narrow(1, 3, 6).narrow(2, 4, 5).fill_(1);
    mask[0][5][6] = 0.5;
    scene.frame.maps.set("mask", mask);
    scene.frame.maps.set("normal", uniform({3, 11, 12}, -1, 1, 1));
    scene.frame.maps.set("depth", uniform({1, 11, 12}, 1, 2, 2));
    scene.frame.maps.set("dino", uniform({4, 11, 12}, -1, 1, 3));
    scene.frame.maps.set("semantic",
                         torch::randint(4, {11, 12}, Random{4}.generator("labels"), torch::kLong));
    scene.rendered.set("alpha", uniform({1, 11, 12}, 0.4, 1, 5));
    uint64_t seed = 6;
    for (const auto& [name, channels] :
         {std::pair{"depth", 1}, {"normal", 3}, {"dino", 4}, {"semantic", 4}, {"roughness", 1}})
        scene.rendered.set(name, uniform({channels, 11, 12}, 1, 2, seed++).requires_grad_(true));
    return scene;
}

std::vector<torch::Tensor> value_and_gradients(Loss& loss, const LossScene& scene,
                                               const Maps& rendered, const Frame& frame) {
    std::vector<torch::Tensor> leaves;
    for (const auto& name : loss.needs()) leaves.push_back(scene.rendered.at(name));
    const auto value =
        loss.forward({scene.canonical, scene.posed, rendered, frame, scene.random, false});
    auto out = torch::autograd::grad({value}, leaves);
    out.push_back(value.detach());
    return out;
}

/// Surfels that fill the picture, each turned in its own way.
Surfels scattered() {
    constexpr int64_t kCount = 40;
    Surfels s;
    s.position = uniform({kCount, 3}, -0.5, 0.5, 11) + torch::tensor({0.0, 0.0, 2.0}, kDoubles);
    s.rotation = std::get<0>(torch::linalg_qr(uniform({kCount, 3, 3}, -1, 1, 12)));
    s.scale = uniform({kCount, 2}, 0.1, 0.3, 13);
    s.opacity = uniform({kCount, 1}, 0.3, 0.9, 14);
    s.skinning = torch::ones({kCount, 1}, kDoubles);
    s.bones = torch::eye(4, kDoubles).unsqueeze(0);
    s.features.set("color", uniform({kCount, 3}, 0, 1, 15));
    s.features.set("dino", uniform({kCount, 4}, -1, 1, 16).requires_grad_(true));
    for (auto* leaf : {&s.position, &s.scale, &s.opacity}) leaf->requires_grad_(true);
    return s;
}

/// Remembers the pictures that it was given.
class Viewer : public Loss {
  public:
    explicit Viewer(bool stays) : stays_(stays) {}
    std::vector<std::string> needs() const override { return {"alpha"}; }
    bool stays_in_mask() const override { return stays_; }
    torch::Tensor forward(const LossInput& input) override {
        sizes = {input.rendered.at("alpha").sizes().vec(),
                 input.frame.maps.at("mask").sizes().vec(),
                 {1, input.frame.camera.height, input.frame.camera.width}};
        return input.rendered.at("alpha").mean();
    }
    std::vector<std::vector<int64_t>> sizes;

  private:
    bool stays_;
};

}  // namespace

TEST_CASE("a box is the smallest around what is set, and cuts what its camera sees", "[losses]") {
    auto set = torch::zeros({9, 7}, kDoubles);
    REQUIRE(box_around(set, 2).is_empty());
    set[2][5] = NAN;
    set[4][3] = -1e-30;
    const auto box = box_around(set), grown = box_around(set, 3);
    REQUIRE(std::vector{box.top, box.bottom, box.left, box.right} ==
            std::vector<int64_t>{2, 5, 3, 6});
    REQUIRE(std::vector{grown.top, grown.bottom, grown.left, grown.right} ==
            std::vector<int64_t>{0, 8, 0, 7});
    const auto x = uniform({2, 9, 7}, 0, 1);
    REQUIRE(torch::equal(box.cut(x), box.view(x)));
    REQUIRE(torch::equal(box.view(x), x.slice(1, 2, 5).slice(2, 3, 6)));

    const auto whole = LossScene(9, 7).frame.camera, part = box.cut(whole);
    REQUIRE(std::pair{part.width, part.height} == std::pair<int64_t, int64_t>{3, 3});
    const auto moved = whole.intrinsics - part.intrinsics;  // by the corner of the box
    REQUIRE_CLOSE(moved, torch::tensor({0.0, 0.0, 3.0, 2.0}, kDoubles), 1e-15);
}

TEST_CASE("losses that stay in the mask are the same in its box, gradients too", "[losses]") {
    const auto scene = masked_scene();
    MapL1Loss l1("dino");
    MapL2Loss l2("dino");
    MapCosineLoss cosine("dino");
    CrossEntropyLoss entropy("semantic");
    NormalLoss normal;
    NormalTvLoss tv;
    NormalConsistencyLoss consistency(/*live_target=*/true);
    DepthRankingLoss ranking;
    RoughnessTvLoss roughness;
    for (Loss* loss : std::initializer_list<Loss*>{&l1, &l2, &cosine, &entropy, &normal, &tv,
                                                   &consistency, &ranking, &roughness}) {
        INFO(loss->needs().front());
        REQUIRE(loss->stays_in_mask());
        const auto box = mask_box(scene.frame);
        REQUIRE(box.has_value());
        Maps inside;
        for (const auto& [name, map] : scene.rendered) inside.set(name, box->cut(map));
        REQUIRE(inside.at("alpha").sizes() == std::vector<int64_t>{1, 6, 5});
        const auto whole = value_and_gradients(*loss, scene, scene.rendered, scene.frame),
                   part = value_and_gradients(*loss, scene, inside, cut(scene.frame, *box));
        for (size_t k = 0; k < whole.size(); ++k) {
            REQUIRE(whole[k].abs().sum().item<double>() > 0);
            REQUIRE_CLOSE(part[k], whole[k], 1e-13);  // measured 2e-15
        }
    }
}

TEST_CASE("a map is drawn whole where one term sees it so, and cut once for the others",
          "[losses]") {
    const auto surfels = scattered();
    const auto camera = LossScene(11, 12).frame.camera;
    const Box box{3, 9, 4, 9};
    RenderPlan plan(surfels);
    plan.add("a", {"depth", "normal"}, {}, Reach::everything(), /*stays_in_box=*/true);
    plan.add("b", {"depth"}, {}, Reach::everything(), false);
    plan.add("c", {"depth"}, {"normal"}, Reach::everything(), true);
    const auto views = plan.render(camera, box);
    const std::vector<int64_t> whole{1, 11, 12}, part{1, 6, 5};
    REQUIRE(views[0].rendered.at("depth").sizes() == part);
    REQUIRE(views[1].rendered.at("depth").sizes() == whole);
    REQUIRE(views[2].rendered.at("depth").is_same(views[0].rendered.at("depth")));
    REQUIRE(views[2].rendered.at("normal").sizes() == std::vector<int64_t>{3, 6, 5});

    RenderPlan lends(surfels);
    lends.add("a", {"normal"}, {}, Reach::everything(), true);
    lends.add("b", {"depth"}, {"normal"}, Reach::everything(), false);  // looks at all of it
    REQUIRE(lends.render(camera, box)[1].rendered.at("normal").sizes() ==
            std::vector<int64_t>{3, 11, 12});
}

TEST_CASE("a box has the numbers and the gradient of the whole picture there", "[render]") {
    const auto camera = LossScene(11, 12).frame.camera;
    const Box box{2, 9, 3, 10};
    for (const double far_side : {1.0, 0.3}) {
        auto surfels = scattered();
        surfels.far_side = far_side;
        const std::vector<torch::Tensor> leaves{surfels.position, surfels.scale, surfels.opacity,
                                                surfels.features.at("dino")};
        const std::vector<std::string> names{"color", "alpha", "depth", "normal", "dino"};
        const auto maps = [&](const std::optional<Box>& given) {
            const auto posed = surfels.posed();
            return render({{posed, names, false, {"color"}}, {posed, {"normal", "dino"}, false}},
                          camera, nullptr, given);
        };
        const auto wholes = maps(std::nullopt), parts = maps(box);
        torch::Tensor of_wholes = torch::zeros({}, kDoubles), of_parts = of_wholes;
        for (size_t r = 0; r < wholes.size(); ++r) {
            for (const auto& [name, whole] : wholes[r]) {
                const auto expected = name == "color" ? whole : box.cut(whole);
                const auto& part = parts[r].at(name);
                REQUIRE(torch::equal(part, expected));
                if (name == "alpha") continue;  // a map that nothing is made of
                const auto weight = uniform(part.sizes(), -1, 1, 7 + r);
                of_wholes = of_wholes + (weight * expected).sum();
                of_parts = of_parts + (weight * part).sum();
            }
        }
        const auto whole = torch::autograd::grad({of_wholes}, leaves),
                   part = torch::autograd::grad({of_parts}, leaves);
        for (size_t k = 0; k < leaves.size(); ++k) {
            REQUIRE(whole[k].abs().sum().item<double>() > 0);
            REQUIRE_CLOSE(part[k], whole[k], 1e-13);
        }
    }
}

TEST_CASE("a picture without a mask, or with a map of another size, stays whole", "[losses]") {
    auto frame = masked_scene().frame;
    const auto mask = frame.maps.at("mask");
    REQUIRE(mask_box(frame).has_value());
    frame.maps.set("mask", torch::zeros_like(mask));
    REQUIRE_FALSE(mask_box(frame).has_value());
    frame.maps.set("mask", mask);
    frame.maps.set("dino", uniform({4, 11, 13}, -1, 1));
    REQUIRE_FALSE(mask_box(frame).has_value());
    REQUIRE_FALSE(mask_box(Frame{}).has_value());
}

TEST_CASE("the objective cuts where the loss says so and shapes may follow values", "[losses]") {
    auto scene = masked_scene();
    scene.frame.maps.set("seen", torch::ones({1, 11, 12}, kDoubles));
    const auto s = scattered();
    const auto sizes = [&](bool stays, bool is_static) {
        const auto viewer = std::make_shared<Viewer>(stays);
        Objective objective;
        objective->add("viewer", viewer, 1.0, Reach::nothing());
        objective->static_shapes = is_static;
        const auto report = objective->forward(s, scene.frame, {}, 0);
        REQUIRE(report.rendered.at("alpha").sizes() == viewer->sizes.front());
        return viewer->sizes;
    };
    const std::vector<std::vector<int64_t>> whole(3, {1, 11, 12}), part(3, {1, 6, 5});
    REQUIRE(sizes(true, false) == part);
    REQUIRE(sizes(true, true) == whole);
    REQUIRE(sizes(false, false) == whole);
}
