// Baked avatars: posing, the fit, the file.
#include <fmgs/avatar_file.h>
#include <fmgs/bake.h>
#include <fmgs/baked_file.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/named_tensors.h>
#include <fmgs/core/rotation.h>
#include <fmgs/raster/render.h>

#include <random>

#include "support/tiny_avatar.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

torch::Tensor draw(at::IntArrayRef shape, std::string_view what, int64_t step = 0) {
    return torch::randn(shape, Random{8, step}.generator(what), torch::kDouble);
}

/// 32 surfels on the octahedron with numbers that a seed draws.
BakedParts parts(int64_t components, int64_t axes = 1) {
    BakedParts p{.body = BodyModel(octahedron(), torch::zeros({0})), .subdivisions = 1};
    const auto frames = face_frames(canonical_template(*p.body, 1).mesh);
    const int64_t N = 32;
    p.far_side = 0.5;
    p.mip = true;
    p.center = frames.center;
    p.frame = frames.rotation;
    p.opacity = draw({N, 1}, "opacity").sigmoid();
    p.bone_index = torch::tensor({0, 1, 2, 0}).expand({N, 4});
    p.bone_weight = torch::cat({draw({N, 3}, "weight").softmax(1), torch::zeros({N, 1})}, 1);
    p.labels = torch::arange(N) % 4;
    p.mean = torch::cat({0.02 * draw({N, axes}, "offset"), frames.scale.log(),
                         0.5 * draw({N, 3}, "turn"), draw({N, 3}, "color").sigmoid()},
                        1);
    p.components = 0.1 * draw({components, N, axes + 8}, "components");
    p.projection = draw({18, components}, "projection");
    p.bias = draw({components}, "bias");
    for (auto* x : {&p.opacity, &p.bone_weight, &p.mean, &p.components, &p.projection, &p.bias})
        *x = x->to(torch::kFloat);
    return p;
}

BodyPose pose(int k) { return {exp_map(0.4 * draw({3, 3}, "pose", k)), draw({3}, "translation")}; }

/// The tiny avatar whose colour and geometry are linear in a pose code that is linear in the pose.
struct LinearGeometry : Geometry {
    torch::Tensor origin, map;  // [4], [4,32,9]
    GeometryResidual forward(const FieldInput& in) override {
        const auto rows = torch::tensordot(in.pose_code - origin, map, {0}, {0}).to(in.pose_code);
        const auto part = rows.split_with_sizes({1, 2, 3, 3}, 1);
        return {0.01 * part[0], 0.1 * part[1], 0.1 * part[2], part[3]};
    }
};
struct LinearColor : Appearance {
    torch::Tensor forward(const FieldInput& in) override { return 0.5 + 0.01 * in.geometry_code; }
};
struct FixedSkinning : Skinning {
    torch::Tensor weights;
    torch::Tensor forward(const torch::Tensor&) override { return weights; }
};

SavedAvatar linear_avatar() {
    auto saved = tiny_avatar();
    auto made = saved.avatar->parts();
    const auto geometry = std::make_shared<LinearGeometry>();
    geometry->map = draw({4, 32, 9}, "map");
    const auto skinning = std::make_shared<FixedSkinning>();
    skinning->weights = draw({32, 3}, "skinning").softmax(1);
    made.geometry = geometry;
    made.appearance = std::make_shared<LinearColor>();
    made.skinning = skinning;
    const torch::NoGradGuard guard;
    for (auto& item : made.encoder->named_parameters()) {
        if (item.key() == "hidden_bias") item.value().fill_(100);  // every unit stays linear
    }
    saved.avatar = Avatar(made);
    saved.avatar->to(torch::kDouble);
    geometry->origin = made.encoder->forward(torch::eye(3, torch::kDouble).expand({3, 3, 3}));
    auto& scene = saved.scene;
    scene.camera = scene.camera.to(torch::kDouble);
    scene.axis_angle = 0.3 * draw({24, 3, 3}, "angles");
    scene.translation = 0.1 * draw({24, 3}, "places");
    scene.up = scene.up.to(torch::kDouble);
    scene.root = scene.root.to(torch::kDouble);
    scene.frames.assign(24, "frame");
    return saved;
}

void check_same(const PosedSurfels& a, const PosedSurfels& b, double tolerance) {
    REQUIRE_CLOSE(a.center, b.center, tolerance);
    REQUIRE_CLOSE(a.tangents, b.tangents, tolerance);
    REQUIRE_CLOSE(a.normal, b.normal, tolerance);
    REQUIRE_CLOSE(a.transform, b.transform, tolerance);
    REQUIRE_CLOSE(a.opacity, b.opacity, tolerance);
    REQUIRE_CLOSE(a.features.at("color"), b.features.at("color"), tolerance);
    REQUIRE(a.far_side == b.far_side);
    REQUIRE(a.mip == b.mip);
}

}  // namespace

TEST_CASE("an avatar that is linear in its pose is baked without error", "[bake]") {
    const auto saved = linear_avatar();
    const auto baked = bake(saved.avatar, saved.scene, {.components = 4, .views = 2, .noise = 0});
    REQUIRE(baked->parts().mean.size(1) == 9);  // offsets along the normal
    const auto unseen = pose(1);
    const auto camera = saved.scene.camera;
    const auto full = saved.avatar.ptr()->forward(camera, unseen).posed();
    check_same(baked->forward(unseen), full, 1e-9);
    // Fewer components are further away, and noise makes the fit shy.
    const auto error = [&](const BakedAvatarImpl& avatar) {
        return (avatar.forward(unseen).tangents - full.tangents).abs().mean().item<double>();
    };
    REQUIRE(error(*baked->with_components(2)) > 1e-5);
    const auto shy = bake(saved.avatar, saved.scene, {.components = 4, .views = 1, .noise = 0.3});
    REQUIRE(error(*shy) > 1e-6);
}

TEST_CASE("no components: the mean over the poses, in every pose", "[bake]") {
    const auto saved = linear_avatar();
    const auto baked = bake(saved.avatar, saved.scene, {.components = 0, .views = 1});
    auto sum = torch::zeros({32, 3}, torch::kDouble);
    for (int k = 0; k < 24; ++k)
        sum += saved.avatar.ptr()->forward(saved.scene.camera, saved.scene.pose(k)).position;
    // The normals are unit in float32, as the template is: 1e-10 was seen.
    REQUIRE_CLOSE(baked->canonical().position, sum / 24, 1e-9);
    REQUIRE(torch::equal(baked->surfels(pose(0)).position, baked->surfels(pose(1)).position));
    const auto first = bake(saved.avatar, saved.scene, {.components = 4, .views = 1});
    REQUIRE_CLOSE(first->with_components(0)->parts().mean, baked->parts().mean, 1e-12);
}

TEST_CASE("more components than independent poses are refused", "[bake]") {
    auto saved = linear_avatar();
    saved.scene.axis_angle = saved.scene.axis_angle.slice(0, 0, 3);
    REQUIRE(throws_error([&] { bake(saved.avatar, saved.scene, {.components = 3, .views = 1}); },
                         "components: expected a number from 0 to 2"));
    REQUIRE(bake(saved.avatar, saved.scene, {.components = 2, .views = 1})->component_count() == 2);
}

TEST_CASE("the fit of full rank is that of ridge regression", "[bake]") {
    const auto x = draw({12, 5}, "x"), y = draw({12, 7}, "y");
    const auto xc = x - x.mean(0), yc = y - y.mean(0);
    const auto fit = fmgs::detail::fit_linear(x, torch::matmul(yc, yc.t()), 0.7, 5);
    const auto found = torch::matmul(fit.projection, torch::matmul(fit.mixing, yc));
    const auto wanted = at::linalg_solve(
        torch::matmul(xc.t(), xc) + 0.7 * torch::eye(5, torch::kDouble), torch::matmul(xc.t(), yc));
    REQUIRE_CLOSE(found, wanted, 1e-12);
    REQUIRE_CLOSE(torch::matmul(x.mean(0), fit.projection) + fit.bias,
                  torch::zeros({5}, torch::kDouble), 1e-12);
    // Of rank 1 no other direction leaves a smaller error.
    const auto error = [&](const torch::Tensor& map) {
        return (yc - torch::matmul(xc, map)).square().sum().item<double>() +
               0.7 * map.square().sum().item<double>();
    };
    const auto one = fmgs::detail::fit_linear(x, torch::matmul(yc, yc.t()), 0.7, 1);
    const auto best = torch::matmul(one.projection, torch::matmul(one.mixing, yc));
    for (int k = 0; k < 20; ++k) {
        const auto a = one.projection + 0.01 * draw({5, 1}, "a", k);
        const auto b = torch::matmul(one.mixing, yc) + 0.01 * draw({1, 7}, "b", k);
        REQUIRE(error(torch::matmul(a, b)) > error(best));
    }
}

TEST_CASE("a baked avatar is posed in one pass as its surfels are", "[bake]") {
    for (const int64_t axes : {1, 3}) {
        BakedAvatar avatar(parts(3, axes));
        avatar->to(torch::kDouble);
        check_same(avatar->forward(pose(0)), avatar->surfels(pose(0)).posed(), 1e-12);  // 3e-16
        auto moved = pose(0);
        moved.rotations.requires_grad_(true);
        REQUIRE(avatar->forward(moved).center.requires_grad());
    }
    const BakedAvatar avatar(parts(3));
    const auto rest = avatar->canonical();
    REQUIRE_CLOSE(rest.posed().center, rest.position, 1e-6);
    REQUIRE(
        torch::equal(avatar->forward(pose(0).to(torch::kFloat)).features.at("semantic").argmax(1),
                     torch::arange(32) % 4));
    REQUIRE(throws_error([&] { avatar->forward(pose(0)); }, "pose: expected Float"));
    const auto copy = std::dynamic_pointer_cast<BakedAvatarImpl>(avatar->clone());
    REQUIRE(mismatches(named_tensors(*copy), named_tensors(*avatar)).empty());
}

TEST_CASE("an avatar file is baked, its four bones are those of its skinning", "[bake]") {
    const auto saved = tiny_avatar();
    {
        const torch::NoGradGuard guard;  // the background wins everywhere, but is no label
        for (auto& parameter : saved.avatar->named_parameters()) {
            const bool bias = parameter.value().sizes() == torch::IntArrayRef({4});
            if (bias && parameter.key().find("semantic") != std::string::npos)
                parameter.value()[0] += 20;
        }
    }
    const auto baked = bake(saved.avatar, saved.scene, {.components = 1});
    const auto p = baked->parts();
    const auto full = saved.avatar.ptr()->forward(saved.scene.camera, saved.scene.pose(0));
    REQUIRE((full.features.at("semantic").argmax(1) == 0).all().item<bool>());
    const auto dense = torch::zeros({32, 3}).scatter_add_(1, p.bone_index, p.bone_weight);
    const auto other = saved.avatar.ptr()->forward(saved.scene.camera, saved.scene.pose(1));
    REQUIRE_CLOSE(dense, (full.skinning + other.skinning) / 2, 1e-6);
    REQUIRE(torch::equal(p.labels, full.features.at("semantic").slice(1, 1).argmax(1) + 1));
    // Two poses and one component: geometry is met in both.
    check_same(
        baked->forward(saved.scene.pose(0)),
        [&] {
            auto posed = full;
            posed.skinning = dense;
            auto out = posed.posed();
            out.features.set("color", baked->forward(saved.scene.pose(0)).features.at("color"));
            return out;
        }(),
        2e-2);
}

TEST_CASE("a baked avatar comes back from its file to the bit", "[bake]") {
    const TemporaryFolder folder;
    const auto file = folder.path / "a.safetensors";
    const auto scene = tiny_avatar().scene;
    for (const int64_t components : {0, 3}) {
        const BakedAvatar avatar(parts(components));
        save_baked(file, avatar, scene);
        REQUIRE(is_baked_file(file));
        const auto loaded = load_baked(file);
        const auto before = avatar->forward(scene.pose(1)),
                   after = loaded.avatar->forward(scene.pose(1));
        const auto a = render(before, scene.camera, {"color", "depth", "semantic"}),
                   b = render(after, scene.camera, {"color", "depth", "semantic"});
        for (const auto& [name, map] : a) REQUIRE(torch::equal(map, b.at(name)));
        REQUIRE(loaded.scene.labels == scene.labels);
        save_baked(folder.path / "b.safetensors", loaded.avatar, loaded.scene);
        REQUIRE(read_whole(file) == read_whole(folder.path / "b.safetensors"));
    }
}

TEST_CASE("what is no baked avatar, or a damaged one, is refused by name", "[bake]") {
    const TemporaryFolder folder;
    const auto file = folder.path / "a.safetensors";
    const auto scene = tiny_avatar().scene;
    const auto refused = [&](auto&& edit, const std::string& words) {
        save_baked(file, BakedAvatar(parts(2)), scene);
        Metadata metadata;
        auto tensors = read_safetensors(file, &metadata);
        edit(tensors, metadata);
        write_safetensors(file, tensors, metadata);
        return throws_error([&] { load_baked(file); }, words) &&
               throws_error([&] { load_baked(file); }, file.string());
    };
    const auto put = [&](const char* name, const torch::Tensor& value, const std::string& words) {
        return refused([&](TensorDict& t, Metadata&) { t.set(name, value); }, words);
    };
    REQUIRE(put("avatar.mean", torch::zeros({32, 10}), "mean: expected [32,9] or [32,11]"));
    REQUIRE(put("avatar.mean", torch::full({32, 9}, NAN), "mean: expected finite"));
    REQUIRE(put("avatar.center", torch::zeros({31, 3}), "do not make 31 surfels"));
    REQUIRE(put("avatar.components", torch::zeros({3, 32, 9}), "components: expected [2,32,9]"));
    REQUIRE(put("avatar.projection", torch::zeros({9, 2}), "projection: expected [18,2]"));
    REQUIRE(put("avatar.bone_index", torch::full({32, 4}, 3), "bone_index: expected int64"));
    REQUIRE(put("avatar.bone_weight", torch::ones({32, 4}), "that sum to one"));
    REQUIRE(put("avatar.opacity", torch::full({32, 1}, 1.5F), "opacity: expected numbers in"));
    REQUIRE(put("avatar.labels", torch::full({32}, 255), "labels: expected int64"));
    REQUIRE(put("avatar.other", torch::zeros({1}), "other: not part of"));
    REQUIRE(put("avatar.bias", torch::zeros({2}, torch::kDouble), "bias: expected float32"));
    REQUIRE(put("scene.up", torch::zeros({2}), "scene.up: expected [3]"));
    const auto newer = [](TensorDict&, Metadata& m) { m["format"] = "fmgs-baked 2"; };
    REQUIRE(refused(newer, "is of format 2; the newest"));
    save(file, tiny_avatar());
    REQUIRE(!is_baked_file(file));
    REQUIRE(throws_error([&] { load_baked(file); }, "got 'fmgs-avatar 1'"));
    REQUIRE(throws_error([&] { check_baked_place(file); }, "is there and no baked avatar"));
    write_whole(file, "text");
    REQUIRE(!is_baked_file(file));
    check_baked_place(folder.path / "new");
}

TEST_CASE("no damaged byte of a baked avatar does more than throw", "[bake]") {
    const TemporaryFolder folder;
    const auto file = folder.path / "a";
    save_baked(file, BakedAvatar(parts(2)), tiny_avatar().scene);
    const auto good = read_whole(file);
    std::mt19937 random(1);
    int thrown = 0;
    for (int k = 0; k < 300; ++k) {
        auto bytes = good;
        bytes[random() % 2000] = static_cast<char>(k % 2 ? '0' + random() % 10 : random());
        if (k % 5 == 0) bytes.resize(random() % bytes.size());
        write_synced(file, {bytes});
        try {
            is_baked_file(file);
            load_baked(file);
        } catch (const Error&) {
            ++thrown;
        }
    }
    REQUIRE(thrown > 100);
}
