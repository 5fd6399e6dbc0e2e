// Baked avatars changed by the classes of their surfels.
#include <fmgs/core/rotation.h>
#include <fmgs/edit.h>

#include "support/tiny_avatar.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

const std::vector<std::string> kNames{"Background", "Hair", "Upper Clothing", "Left Foot"};

/// 32 surfels on the octahedron: four of each of the eight faces; those of the first face are of
/// class 2, all others of class 1.
BakedParts parts(uint64_t seed, int64_t components) {
    const auto draw = [&](at::IntArrayRef shape, std::string_view what) {
        return torch::rand(shape, Random{seed}.generator(what), torch::kFloat);
    };
    BakedParts p{.body = BodyModel(octahedron(), torch::zeros({0})), .subdivisions = 1};
    const auto frames = face_frames(canonical_template(*p.body, 1).mesh);
    p.center = frames.center;
    p.frame = frames.rotation;
    p.opacity = draw({32, 1}, "opacity");
    p.bone_index = torch::tensor({0, 1, 2, 0}).expand({32, 4});
    p.bone_weight = torch::tensor({0.5F, 0.25F, 0.25F, 0.F}).expand({32, 4});
    p.labels = torch::ones({32}, torch::kLong);
    p.labels.slice(0, 0, 4).fill_(2);
    p.mean = draw({32, 9}, "mean");
    p.components = 0.1 * draw({components, 32, 9}, "components");
    p.projection = draw({18, components}, "projection");
    p.bias = draw({components}, "bias");
    return p;
}

torch::Tensor faces_of(const BakedParts& p) {
    return canonical_template(*p.body, p.subdivisions).mesh.faces;
}

BodyPose pose() {
    return {exp_map(0.3 * torch::randn({3, 3}, Random{4}.generator("pose"), torch::kFloat)),
            torch::zeros({3})};
}

}  // namespace

TEST_CASE("a class is found by its name or number, else the nearest is named", "[edit]") {
    REQUIRE(find_class("Upper Clothing", kNames) == 2);
    REQUIRE(find_class("upper_clothing", kNames) == 2);
    REQUIRE(find_class("3", kNames) == 3);
    REQUIRE(find_class("7", {}) == 7);
    REQUIRE(throws_error([] { find_class("Hat", kNames); },
                         "there is no class 'Hat'; the nearest is 'Hair'; there are Background"));
    REQUIRE(throws_error([] { find_class("4", kNames); }, "there is no class '4'"));
    REQUIRE(throws_error([] { find_class("Hair", {}); }, "names no classes; give a number"));
}

TEST_CASE("an edit is feathered over the two rings of faces at its seam", "[edit]") {
    // A strip of ten triangles; the first five are chosen.
    const auto k = torch::arange(10);
    const auto faces = torch::stack({k, k + 1, k + 2}, 1);
    const auto w = feathered(k < 5, faces);
    // Faces of a strip meet in a vertex up to two places away.
    REQUIRE_CLOSE(w, torch::tensor({3.F, 3.F, 3.F, 2.F, 2.F, 1.F, 1.F, 0.F, 0.F, 0.F}) / 3, 1e-6);
    REQUIRE(torch::equal(feathered(k < 0, faces), torch::zeros({10})));
    REQUIRE(torch::equal(feathered(k < 10, faces), torch::ones({10})));
}

TEST_CASE("hidden classes are transparent, and nothing else changes", "[edit]") {
    const auto before = parts(1, 2), after = hide_classes(before, {2});
    REQUIRE((after.opacity.slice(0, 0, 4) == 0).all().item<bool>());
    REQUIRE(torch::equal(after.opacity.slice(0, 4), before.opacity.slice(0, 4)));
    REQUIRE((before.opacity > 0).all().item<bool>());
    REQUIRE(torch::equal(after.mean, before.mean));
    REQUIRE(throws_error([&] { hide_classes(before, {2, 3}); }, "no surfel is of class 3"));
    auto unlabelled = before;
    unlabelled.labels = torch::Tensor();
    REQUIRE(throws_error([&] { hide_classes(unlabelled, {2}); }, "has no labels"));
}

TEST_CASE("a tinted class has the colour as its mean and keeps its shading", "[edit]") {
    const auto before = parts(1, 2);
    const std::array<double, 3> color{0.8, 0.2, 0.1};
    const auto after = tint_class(before, 2, color);
    const auto luma = torch::tensor({0.2126F, 0.7152F, 0.0722F});
    const auto old = torch::matmul(before.mean.slice(1, 6), luma).slice(0, 0, 4);
    const auto w = feathered(before.labels == 2, faces_of(before)).slice(0, 0, 4).unsqueeze(1);
    const auto mean = old.mean();
    const auto wanted = torch::tensor({0.8F, 0.2F, 0.1F}) * (old / mean).unsqueeze(1);
    REQUIRE(mean.item<double>() > 0.2);
    REQUIRE_CLOSE(after.mean.slice(1, 6).slice(0, 0, 4),
                  w * wanted + (1 - w) * before.mean.slice(1, 6).slice(0, 0, 4), 1e-6);
    REQUIRE(torch::equal(after.mean.slice(1, 0, 6), before.mean.slice(1, 0, 6)));
    // In a pose, too: the map acts on the colour as it is there.
    const auto there = BakedAvatar(after)->surfels(pose());
    REQUIRE((there.features.at("color") > 0).any().item<bool>());
    const auto change = torch::matmul(before.components.slice(2, 6), luma).slice(1, 0, 4);
    const auto lit = change.unsqueeze(2) * torch::tensor({0.8F, 0.2F, 0.1F}) / mean;
    REQUIRE_CLOSE(after.components.slice(2, 6).slice(1, 0, 4),
                  w * lit + (1 - w) * before.components.slice(2, 6).slice(1, 0, 4), 1e-6);
}

TEST_CASE("what is taken follows the pose as it did, and the rest as before", "[edit]") {
    const auto a = parts(1, 2), b = parts(2, 3);
    const auto taken = take_classes(a, b, {2});
    const BakedAvatar dressed(taken), mine(a), other(b);
    REQUIRE(dressed->component_count() == 5);
    const auto w = feathered(a.labels == 2, faces_of(a)).unsqueeze(1);
    REQUIRE((w > 0.5).sum().item<int64_t>() == 4);
    REQUIRE((w == 0).any().item<bool>());
    const auto s = dressed->surfels(pose()), x = mine->surfels(pose()), y = other->surfels(pose());
    REQUIRE_CLOSE(s.position, x.position * (1 - w) + y.position * w, 1e-6);
    REQUIRE_CLOSE(s.scale.log(), x.scale.log() * (1 - w) + y.scale.log() * w, 1e-5);
    REQUIRE_CLOSE(s.opacity, x.opacity * (1 - w) + y.opacity * w, 1e-6);
    REQUIRE(torch::equal(s.skinning, x.skinning));
    REQUIRE(torch::equal(taken.labels, a.labels));
}

TEST_CASE("a class that lies elsewhere on the other leaves nothing of its own", "[edit]") {
    const auto a = parts(1, 0);
    auto b = parts(2, 0);
    b.labels = torch::ones({32}, torch::kLong);
    b.labels.slice(0, 28).fill_(2);
    const auto taken = take_classes(a, b, {2});
    REQUIRE((taken.labels.slice(0, 0, 4) == 1).all().item<bool>());
    REQUIRE((taken.labels.slice(0, 28) == 2).all().item<bool>());
    REQUIRE(throws_error([&] { take_classes(a, b, {3}); }, "no surfel is of class 3"));
}

TEST_CASE("avatars of different templates are not mixed", "[edit]") {
    const auto a = parts(1, 1);
    auto body = octahedron();
    body.weights = torch::full({6, 3}, 1.F / 3);
    auto b = parts(2, 1);
    b.body = BodyModel(body, torch::zeros({0}));
    REQUIRE(throws_error([&] { take_classes(a, b, {2}); }, "their skinning weights differ"));
    body = octahedron();
    body.faces = body.faces.roll(1, 0);
    b.body = BodyModel(body, torch::zeros({0}));
    REQUIRE(throws_error([&] { take_classes(a, b, {2}); }, "their faces differ"));
    body = octahedron();
    body.parents = torch::tensor({-1, 0, 0}, torch::kLong);
    b.body = BodyModel(body, torch::zeros({0}));
    REQUIRE(throws_error([&] { take_classes(a, b, {2}); }, "their joints differ"));
}
