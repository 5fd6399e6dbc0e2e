// Materials and a light in the place of colours.
#include <fmgs/avatar_file.h>
#include <fmgs/core/color_space.h>
#include <fmgs/fields/material.h>
#include <fmgs/losses/paper_objective.h>
#include <fmgs/losses/render_plan.h>
#include <fmgs/losses/roughness.h>
#include <fmgs/losses/routes.h>
#include <fmgs/raster/render.h>

#include "support/ball.h"
#include "support/lights.h"
#include "support/losses.h"
#include "support/stage.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

AvatarOptions material_ball(const MaterialOptions& material = {.light_rows = 8}) {
    auto options = ball_options();
    options.appearance.type = "material";
    options.appearance.material = material;
    return options;
}

Avatar make(const AvatarOptions& options) {
    Avatar avatar(paper_parts(BodyModel(ball_data(), torch::zeros({0}), 0), options));
    perturb(*avatar);
    return avatar;
}

MaterialAppearanceImpl& material_of(const Avatar& avatar) {
    return dynamic_cast<MaterialAppearanceImpl&>(*avatar->parts().appearance);
}

Maps drawn(const Avatar& avatar, const Frame& frame, std::vector<std::string> names,
           double progress = 1) {
    const auto surfels = avatar.ptr()->forward(frame.camera, frame.pose, nullptr, progress);
    return render(surfels.posed(), frame.camera, names);
}

/// The same sight in a world that is turned about the origin.
Frame turned(const Frame& frame, const torch::Tensor& joint, const torch::Tensor& turn) {
    const auto R = turn.to(torch::kFloat);
    Frame out = frame;
    out.camera.rotation = frame.camera.rotation.matmul(R.t());
    out.pose.rotations = frame.pose.rotations.clone();
    out.pose.rotations[0] = R.matmul(frame.pose.rotations[0]);
    out.pose.translation = R.mv(joint + frame.pose.translation) - joint;
    return out;
}

/// One large surfel in front of the camera, seen aslant.
struct Plate {
    Camera camera = ball_frame(41).camera;
    PosedSurfels surfels;
    FieldInput input;

    Plate() {
        const auto turn = exp_map(torch::tensor({{0.5F, 0.3F, 0.F}}))[0];
        surfels.center = torch::tensor({{0.F, 0.F, 2.F}});
        surfels.tangents = turn.narrow(1, 0, 2).unsqueeze(0) * 0.4F;
        surfels.normal = turn.select(1, 2).unsqueeze(0);
        surfels.opacity = torch::full({1, 1}, 0.9F);
        input.eye = camera.center();
        input.posed = &surfels;
    }
    Plate(const Plate&) = delete;
};

double largest(const torch::Tensor& x) { return x.defined() ? x.abs().max().item<double>() : 0; }

/// The largest gradient of an objective of these options in each leaf of the surfels, in the
/// materials and in the light.
std::map<std::string, double> gradients(const Avatar& avatar, const ObjectiveOptions& options) {
    auto frame = ball_frame();
    frame.maps.set("albedo", frame.maps.at("color").flip(2));
    auto surfels = avatar.ptr()->forward(frame.camera, frame.pose);
    std::vector<std::string> names{"position", "rotation", "scale", "opacity", "bones"};
    std::vector<torch::Tensor> leaves;
    for (auto* x :
         {&surfels.position, &surfels.rotation, &surfels.scale, &surfels.opacity, &surfels.bones})
        leaves.push_back(*x = x->detach().clone().requires_grad_(true));
    for (const auto& item : avatar->named_parameters()) {
        if (item.key() != "appearance.light.log_radiance" &&
            item.key() != "appearance.materials.volume.table")
            continue;
        names.push_back(item.key().substr(11));
        leaves.push_back(item.value());
    }
    auto objective = paper_objective(avatar->parts(), options);
    const auto total = objective->forward(surfels, frame, {}, 0.5).total;
    const auto found =
        torch::autograd::grad({total + 0 * leaves[0].sum()}, leaves, {}, {}, false, true);
    std::map<std::string, double> out;
    for (size_t k = 0; k < names.size(); ++k) out[names[k]] = largest(found[k]);
    return out;
}

}  // namespace

TEST_CASE("materials start grey, rough and dull, and stay in their ranges", "[material]") {
    const auto options = material_ball();
    auto avatar = Avatar(paper_parts(BodyModel(ball_data(), torch::zeros({0}), 0), options));
    const auto frame = ball_frame();
    auto s = avatar->forward(frame.camera, frame.pose);
    const auto near = [&](const char* name, double value, double off) {
        INFO(name);
        const auto& layer = s.features.at(name);
        REQUIRE((layer - value).abs().max().item<double>() < off);
    };
    near("albedo", srgb_color(torch::tensor(0.5)).item<double>(), 0.05);
    near("roughness", 0.9, 0.03);
    near("f0", 0.04, 0.01);
    {
        const torch::NoGradGuard guard;
        for (auto& p : material_of(avatar).parameters())
            p.copy_(100 * torch::randn(p.sizes(), Random{3}.generator("wild"), torch::kFloat));
    }
    s = avatar->forward(frame.camera, frame.pose);
    const auto inside = [&](const char* name, double low, double high) {
        INFO(name);
        const auto& layer = s.features.at(name);
        REQUIRE(layer.min().item<double>() >= low - 1e-6);
        REQUIRE(layer.max().item<double>() <= high + 1e-6);
        REQUIRE(layer.max().item<double>() - layer.min().item<double>() > 0.8 * (high - low));
    };
    inside("albedo", 0, 1);
    inside("roughness", 0.3, 1);
    inside("f0", 0.02, 0.15);
}

TEST_CASE("what is off is not there, and its names are free", "[material]") {
    const auto plain = make(ball_options());
    for (const auto& item : plain->named_parameters()) {
        INFO(item.key());
        REQUIRE(item.key().find("light") == std::string::npos);
        REQUIRE(item.key().find("material") == std::string::npos);
    }
    const auto frame = ball_frame();
    const auto s = plain.ptr()->forward(frame.camera, frame.pose);
    REQUIRE(s.pixel_shaders.empty());
    REQUIRE_FALSE(s.features.contains("albedo"));
    auto options = ball_options();
    options.modalities["albedo"] = options.modalities.at("semantic");
    REQUIRE_NOTHROW(make(options));
    options.appearance.type = "material";
    REQUIRE(throws_error([&] { make(options); }, "modality 'albedo': the appearance has a map"));
    options.appearance.type = "materials";
    REQUIRE(throws_error([&] { make(options); }, "expected field or material, got 'materials'"));
}

TEST_CASE("colour is albedo until shading starts, and then what the light makes of it",
          "[material]") {
    for (const bool deferred : {false, true}) {
        const auto avatar = make(material_ball({.light_rows = 8, .deferred = deferred}));
        const auto frame = ball_frame();
        const auto before = drawn(avatar, frame, {"color", "albedo"}, 0.09);
        REQUIRE(torch::equal(before.at("color"), before.at("albedo")));
        const auto after = drawn(avatar, frame, {"color", "albedo"}, 0.1);
        REQUIRE(torch::equal(after.at("albedo"), before.at("albedo")));
        REQUIRE(distance(after.at("color"), before.at("color")) > 0.005);
    }
}

TEST_CASE("in a white furnace a white person is white", "[material]") {
    for (const bool deferred : {false, true}) {
        const auto avatar = make(material_ball({.light_rows = 8, .deferred = deferred}));
        {
            const torch::NoGradGuard guard;
            material_of(avatar).light()->set(torch::ones({4, 8, 3}), torch::eye(3));
            auto parameters = material_of(avatar).named_parameters();
            parameters["materials.mlp.bias1"].slice(0, 0, 3).fill_(40);
        }
        const auto maps = drawn(avatar, ball_frame(), {"color", "alpha", "shading"});
        const auto white = maps.at("alpha").expand({3, -1, -1});
        REQUIRE_CLOSE(maps.at("color"), white, 1e-4);
        REQUIRE_CLOSE(maps.at("shading"), white, 1e-4);
    }
}

TEST_CASE("the light stands still in the world", "[material]") {
    for (const bool deferred : {false, true}) {
        const auto avatar = make(material_ball({.light_rows = 16, .deferred = deferred}));
        auto& light = *material_of(avatar).light();
        light.set(uneven_light().to(torch::kFloat), torch::eye(3));
        const auto frame = ball_frame();
        const auto turn = turn_by(9, 32);
        const auto elsewhere = turned(frame, avatar->parts().body->joints()[0], turn);
        const std::vector<std::string> names{"color", "shading", "albedo"};
        const auto here = drawn(avatar, frame, names), there = drawn(avatar, elsewhere, names);
        REQUIRE_CLOSE(there.at("albedo"), here.at("albedo"), 1e-3);
        REQUIRE(distance(there.at("color"), here.at("color")) > 0.05);
        REQUIRE(distance(there.at("shading"), here.at("shading")) > 0.05);
        light.turn(turn);
        const auto both = drawn(avatar, elsewhere, names);
        REQUIRE_CLOSE(both.at("color"), here.at("color"), 1e-3);
        REQUIRE_CLOSE(both.at("shading"), here.at("shading"), 1e-3);
    }
}

TEST_CASE("a surfel is shaded on the side that is seen", "[material]") {
    auto options = material_ball().appearance;
    MaterialAppearance material(options, torch::tensor({{-1.F, -1.F, -1.F}, {1.F, 1.F, 1.F}}), 3);
    material->light()->set(uneven_light().to(torch::kFloat), torch::eye(3));
    Plate plate;
    plate.input.layers = {{"albedo", torch::full({1, 3}, 0.6)},
                          {"roughness", torch::full({1, 1}, 0.5)},
                          {"f0", torch::full({1, 1}, 0.1)}};
    const auto front = material->forward(plate.input);
    plate.surfels.normal = -plate.surfels.normal;
    REQUIRE(torch::equal(material->forward(plate.input), front));
    // What it is, by hand: the formula at this place.
    const auto view = -plate.surfels.center / plate.surfels.center.norm();
    auto normal = plate.surfels.normal;
    if ((normal * view).sum().item<double>() < 0) normal = -normal;
    const Materials m{linear_color(torch::full({1, 3}, 0.6)), torch::full({1, 1}, 0.5),
                      torch::full({1, 1}, 0.1)};
    const auto linear = shade(m, normal, view, material->light()->filtered());
    REQUIRE_CLOSE(front, srgb_color(linear), 1e-5);
    options.material.srgb = false;
    MaterialAppearance raw(options, torch::tensor({{-1.F, -1.F, -1.F}, {1.F, 1.F, 1.F}}), 3);
    raw->light()->set(uneven_light().to(torch::kFloat), torch::eye(3));
    REQUIRE_CLOSE(raw->forward(plate.input),
                  shade({torch::full({1, 3}, 0.6), m.roughness, m.f0}, normal, view,
                        raw->light()->filtered()),
                  1e-5);
    REQUIRE(throws_error(
        [&] {
            plate.input.posed = nullptr;
            material->forward(plate.input);
        },
        "posed surfels"));
}

TEST_CASE("a pixel is shaded as the surfel behind it", "[material]") {
    Plate plate;
    plate.input.layers = {{"albedo", torch::full({1, 3}, 0.6)},
                          {"roughness", torch::full({1, 1}, 0.5)},
                          {"f0", torch::full({1, 1}, 0.1)}};
    const auto box = torch::tensor({{-1.F, -1.F, -1.F}, {1.F, 1.F, 1.F}});
    const auto shaded = [&](bool deferred) {
        auto options = material_ball().appearance;
        options.material.deferred = deferred;
        MaterialAppearance material(options, box, 3);
        material->light()->set(uneven_light().to(torch::kFloat), torch::eye(3));
        auto surfels = plate.surfels;
        surfels.features = {{"color", material->forward(plate.input)}};
        surfels.pixel_shaders = material->pixel_shaders(plate.input);
        return render(surfels, plate.camera, {"color", "alpha", "shading"});
    };
    const auto of_surfels = shaded(false), of_pixels = shaded(true);
    REQUIRE(of_pixels.at("color").size(0) == 3);
    const auto middle = [](const torch::Tensor& map) { return map.select(1, 20).select(1, 20); };
    REQUIRE(middle(of_pixels.at("alpha")).item<double>() > 0.8);
    REQUIRE_CLOSE(middle(of_pixels.at("color")), middle(of_surfels.at("color")), 2e-4);
    REQUIRE(distance(of_pixels.at("color"), of_surfels.at("color")) < 0.05);
    REQUIRE_CLOSE(of_pixels.at("shading"), of_surfels.at("shading"), 1e-6);
}

TEST_CASE("shading moves materials and light, and surfels where it may", "[material]") {
    for (const bool deferred : {false, true}) {
        for (const bool moves : {false, true}) {
            INFO(deferred << moves);
            const auto avatar = make(material_ball(
                {.light_rows = 8, .deferred = deferred, .shape_from_shading = moves}));
            material_of(avatar).light()->set(uneven_light(8).to(torch::kFloat), torch::eye(3));
            const auto frame = ball_frame();
            auto s = avatar.ptr()->forward(frame.camera, frame.pose);
            s.rotation = s.rotation.detach().clone().requires_grad_(true);
            const auto posed = s.posed();
            // Nothing but the normals differs between the two: geometry is drawn without a
            // gradient.
            auto still = posed;
            for (auto* x : {&still.center, &still.tangents, &still.opacity}) *x = x->detach();
            const auto color = render(still, frame.camera, {"color"}).at("color");
            auto parameters = material_of(avatar).named_parameters();
            const auto found = torch::autograd::grad({color.square().sum() + 0 * s.rotation.sum()},
                                                     {s.rotation, parameters["light.log_radiance"],
                                                      parameters["materials.volume.table"]},
                                                     {}, {}, false, true);
            REQUIRE((largest(found[0]) > 1e-6) == moves);
            REQUIRE(largest(found[1]) > 1e-4);
            REQUIRE(largest(found[2]) > 1e-6);
        }
    }
}

TEST_CASE("priors on materials keep to their rows, and leave the light", "[material]") {
    const auto avatar = make(material_ball());
    for (const auto& [name, open] : std::vector<std::pair<std::string, std::set<std::string>>>{
             {"strict", {}}, {"measured", {}}, {"literal", {"scale", "opacity"}}}) {
        for (const std::string loss : {"albedo", "roughness_tv"}) {
            auto options = only({loss}, name);
            INFO(name << " " << loss);
            for (const auto& [leaf, size] : gradients(avatar, options)) {
                INFO(leaf);
                const bool is_open = leaf == "materials.volume.table" || open.contains(leaf);
                REQUIRE((size > 1e-12) == is_open);
            }
        }
    }
    const auto photometric = gradients(avatar, only({"photometric"}, "strict"));
    for (const auto& [leaf, size] : photometric) {
        INFO(leaf);
        REQUIRE(size > 1e-12);
    }
}

TEST_CASE("a loss that may not move the colour moves no light either", "[material]") {
    for (const bool deferred : {false, true}) {
        const auto avatar = make(material_ball({.light_rows = 8, .deferred = deferred}));
        auto options = only({}, "strict");
        options.losses.others["look"] = map_term(1, "l1", "color", {"opacity"});
        auto found = gradients(avatar, options);
        REQUIRE(found.at("light.log_radiance") == 0);
        REQUIRE(found.at("materials.volume.table") == 0);
        REQUIRE(found.at("opacity") > 1e-9);
        // Beside one that may, each keeps to its own.
        options.losses.others["learn"] = map_term(1, "l1", "color", {"color"});
        found = gradients(avatar, options);
        REQUIRE(found.at("light.log_radiance") > 1e-9);
        REQUIRE(found.at("position") == 0);
    }
}

TEST_CASE("a prior on albedo needs an appearance that has one", "[material]") {
    REQUIRE(throws_error(
        [] { paper_objective(make(ball_options())->parts(), only({"albedo"}, "strict")); },
        "losses.albedo: it reads the map 'albedo', but the avatar has no such modality"));
    const auto plain = paper_objective(make(ball_options())->parts());
    for (const auto& entry : plain->entries()) REQUIRE(entry.name != "roughness_tv");
    const auto material = paper_objective(make(material_ball())->parts());
    REQUIRE(std::any_of(material->entries().begin(), material->entries().end(),
                        [](const auto& entry) { return entry.name == "roughness_tv"; }));
}

TEST_CASE("differences of roughness, squared, over neighbours inside", "[material]") {
    LossScene scene(2, 3);
    auto& alpha = scene.rendered;
    alpha.set("alpha", torch::tensor({{{1.0, 0.8, 1.0}, {1.0, 1.0, 0.2}}}, kDoubles));
    const auto o = torch::tensor({{{0.3, 0.4, 0.9}, {0.5, 0.8, 9.0}}}, kDoubles);
    scene.rendered.set("roughness", o * scene.rendered.at("alpha"));
    RoughnessTvLoss loss;
    // Right: .1², .5², .3²; below: .2², .4². The last pixel is hardly drawn.
    REQUIRE(scene(loss).item<double>() == Approx((0.01 + 0.25 + 0.09 + 0.04 + 0.16) / 5));
    REQUIRE(scene.map_gradient_error(loss, "roughness", scene.rendered.at("roughness")) < 1e-6);
    scene.frame.maps.set("mask", torch::zeros({1, 2, 3}, kDoubles));
    REQUIRE(scene(loss).item<double>() == 0);
}

TEST_CASE("avatars of materials are copied, saved and loaded", "[material]") {
    for (const bool deferred : {false, true}) {
        const auto options = material_ball({.light_rows = 8, .deferred = deferred});
        const auto avatar = make(options);
        const auto frame = ball_frame();
        const auto picture = drawn(avatar, frame, {"color"}).at("color");
        const Avatar copy(std::dynamic_pointer_cast<AvatarImpl>(avatar->clone()));
        REQUIRE(torch::equal(drawn(copy, frame, {"color"}).at("color"), picture));
        const TemporaryFolder folder;
        const auto file = folder.path / "avatar.safetensors";
        AvatarScene scene{frame.camera, torch::zeros({3}),       torch::tensor({0.F, -1.F, 0.F}),
                          {"a"},        torch::zeros({1, 3, 3}), torch::zeros({1, 3})};
        save_avatar(file, avatar, options, scene);
        const auto saved = load_avatar(file);
        REQUIRE(torch::equal(drawn(saved.avatar, frame, {"color"}).at("color"), picture));
        // A light that the file cannot hold is not made.
        auto more = options;
        more.appearance.material.light_rows = 32;
        REQUIRE(throws_error([&] { save_avatar(file, avatar, more, scene); }, "is not written"));
        // Another light, of another size, goes along.
        EnvironmentLight light(12);
        light->set(uneven_light().to(torch::kFloat), torch::eye(3));
        material_of(avatar).relight(light);
        const Avatar lit(std::dynamic_pointer_cast<AvatarImpl>(avatar->clone()));
        REQUIRE(distance(drawn(lit, frame, {"color"}).at("color"), picture) > 0.05);
        REQUIRE(torch::equal(drawn(lit, frame, {"color"}).at("color"),
                             drawn(avatar, frame, {"color"}).at("color")));
    }
}
