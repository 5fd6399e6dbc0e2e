// The objective gives losses that stay in the mask the box around it alone.
#include <fmgs/losses/depth_ranking.h>
#include <fmgs/losses/map_losses.h>
#include <fmgs/losses/mask_box.h>
#include <fmgs/losses/normal.h>
#include <fmgs/losses/objective.h>
#include <fmgs/losses/roughness.h>

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
        auto box = MaskBox::of(scene.frame);
        REQUIRE(box.has_value());
        const auto cut = box->cut(scene.rendered);
        REQUIRE(cut.at("alpha").sizes() == std::vector<int64_t>{1, 6, 5});
        const auto whole = value_and_gradients(*loss, scene, scene.rendered, scene.frame),
                   part = value_and_gradients(*loss, scene, cut, box->frame());
        for (size_t k = 0; k < whole.size(); ++k) {
            REQUIRE(whole[k].abs().sum().item<double>() > 0);
            REQUIRE_CLOSE(part[k], whole[k], 1e-13);  // measured 2e-15
        }
    }
}

TEST_CASE("two losses that share a map share its part", "[losses]") {
    const auto scene = masked_scene();
    auto box = MaskBox::of(scene.frame);
    Maps other;
    other.set("N", scene.rendered.at("normal"));
    REQUIRE(box->cut(scene.rendered).at("normal").is_same(box->cut(other).at("N")));
}

TEST_CASE("a picture without a mask, or with a map of another size, stays whole", "[losses]") {
    auto frame = masked_scene().frame;
    const auto mask = frame.maps.at("mask");
    REQUIRE(MaskBox::of(frame).has_value());
    frame.maps.set("mask", torch::zeros_like(mask));
    REQUIRE_FALSE(MaskBox::of(frame).has_value());
    frame.maps.set("mask", mask);
    frame.maps.set("dino", uniform({4, 11, 13}, -1, 1));
    REQUIRE_FALSE(MaskBox::of(frame).has_value());
    REQUIRE_FALSE(MaskBox::of(Frame{}).has_value());
}

TEST_CASE("the objective cuts where the loss says so and shapes may follow values", "[losses]") {
    const auto scene = masked_scene();
    Surfels s;
    s.position = torch::tensor({{0.0, 0.0, 2.0}}, kDoubles);
    s.rotation = torch::eye(3, kDoubles).unsqueeze(0);
    s.scale = torch::full({1, 2}, 0.3, kDoubles);
    s.opacity = torch::full({1, 1}, 0.9, kDoubles);
    s.skinning = torch::ones({1, 1}, kDoubles);
    s.bones = torch::eye(4, kDoubles).unsqueeze(0);
    const auto sizes = [&](bool stays, bool is_static) {
        const auto viewer = std::make_shared<Viewer>(stays);
        Objective objective;
        objective->add("viewer", viewer, 1.0, Reach::nothing());
        objective->static_shapes = is_static;
        const auto report = objective->forward(s, scene.frame, {}, 0);
        REQUIRE(report.rendered.at("alpha").sizes() == std::vector<int64_t>{1, 11, 12});
        return viewer->sizes;
    };
    const std::vector<std::vector<int64_t>> whole(3, {1, 11, 12}), part(3, {1, 6, 5});
    REQUIRE(sizes(true, false) == part);
    REQUIRE(sizes(true, true) == whole);
    REQUIRE(sizes(false, false) == whole);
}
