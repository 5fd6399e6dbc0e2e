#include <fmgs/losses/map_losses.h>

#include "support/losses.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

LossScene dino_scene() {
    LossScene scene(4, 5);
    scene.frame.maps.set("dino", uniform({6, 4, 5}, -1, 1, 1));
    scene.rendered.set("dino", uniform({6, 4, 5}, -1, 1, 2));
    return scene;
}

}  // namespace

TEST_CASE("l1, l2 and cosine are means over the foreground", "[losses]") {
    auto scene = dino_scene();
    const auto f = scene.rendered.at("dino"), target = scene.frame.maps.at("dino");
    auto mask = torch::ones({1, 4, 5}, kDoubles);
    mask.select(1, 0).fill_(0);
    scene.frame.maps.set("mask", mask);
    const auto part = [](const torch::Tensor& x) { return x.narrow(-2, 1, 3); };
    MapL1Loss l1("dino");
    MapL2Loss l2("dino");
    MapCosineLoss cosine("dino");
    REQUIRE_CLOSE(scene(l1), part((f - target).abs()).mean(), 1e-12);
    REQUIRE_CLOSE(scene(l2), part((f - target).square()).mean(), 1e-12);
    REQUIRE_CLOSE(scene(cosine), part(1 - torch::cosine_similarity(f, target, 0)).mean(), 1e-12);
    for (Loss* loss :
         {static_cast<Loss*>(&l1), static_cast<Loss*>(&l2), static_cast<Loss*>(&cosine)}) {
        REQUIRE(scene.map_gradient_error(*loss, "dino", f) < 1e-7);
        auto empty = dino_scene();
        REQUIRE(empty.silent_without_foreground(*loss, "dino"));
    }
}

TEST_CASE("pixels without a finite target, and zero vectors for cosine, do not count", "[losses]") {
    auto scene = dino_scene();
    auto target = scene.frame.maps.at("dino").clone();
    target.select(1, 0).fill_(NAN);
    scene.frame.maps.set("dino", target);
    MapL2Loss l2("dino");
    const auto difference = (scene.rendered.at("dino") - target).narrow(1, 1, 3);
    REQUIRE_CLOSE(scene(l2), difference.square().mean(), 1e-12);
    scene.frame.maps.set("dino", torch::zeros({6, 4, 5}, kDoubles));
    MapCosineLoss cosine("dino");
    REQUIRE(scene(cosine).item<double>() == 0);
}

TEST_CASE("a missing map and a wrong channel count are named", "[losses]") {
    auto scene = dino_scene();
    MapL1Loss l1("dino");
    scene.frame.maps.set("dino", torch::zeros({5, 4, 5}, kDoubles));
    REQUIRE(throws_error([&] { scene(l1); },
                         "map 'dino' of frame 'f0': expected [6,4,5], got [5,4,5]"));
    scene.frame.maps = {{"mask", torch::ones({1, 4, 5}, kDoubles)}};
    REQUIRE(throws_error([&] { scene(l1); }, "frame 'f0' has no map 'dino'"));
}

TEST_CASE("labels of a modality that is read from files have a channel", "[losses]") {
    auto scene = dino_scene();
    auto labels = torch::randint(0, 8, {4, 5}, torch::kLong);  // 0 and all from 6 on: no class
    labels[0][0] = 3;
    CrossEntropyLoss loss("dino");
    scene.frame.maps.set("dino", labels);
    const auto flat = scene(loss);
    scene.frame.maps.set("dino", labels.unsqueeze(0).to(kDoubles));
    REQUIRE(torch::equal(scene(loss), flat));
    REQUIRE(flat.item<double>() > 0);
    scene.frame.maps.set("dino", labels.expand({2, 4, 5}));
    REQUIRE(throws_error([&] { scene(loss); }, "map 'dino' of frame"));
}
