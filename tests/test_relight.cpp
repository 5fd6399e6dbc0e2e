// Another light for a trained avatar: how a panorama stands in the world, and how it turns.
#include <fmgs/core/io/files.h>
#include <fmgs/data/radiance_file.h>
#include <fmgs/data/synthetic/light.h>
#include <fmgs/fields/material.h>
#include <fmgs/run/relight.h>
#include <fmgs/run/shots.h>

#include "support/ball.h"
#include "support/lights.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

AvatarScene ball_scene() {
    const auto frame = ball_frame();
    return {frame.camera, torch::tensor({0.F, 0.F, 2.F}), torch::tensor({0.F, -1.F, 0.F}),
            {"f0"},       torch::zeros({1, 3, 3}),        torch::tensor({{0.F, 0.F, 2.F}})};
}

Avatar lit_ball(const std::string& type = "material") {
    auto options = ball_options();
    options.appearance.type = type;
    options.appearance.material.light_rows = 8;
    Avatar avatar(paper_parts(BodyModel(ball_data(), torch::zeros({0}), 0), options));
    perturb(*avatar);
    avatar->eval();
    return avatar;
}

EnvironmentLight own_light(const Avatar& avatar) {
    return dynamic_cast<MaterialAppearanceImpl&>(*avatar->parts().appearance).light();
}

}  // namespace

TEST_CASE("a panorama stands upright behind the person", "[relight]") {
    auto scene = ball_scene();
    const auto plain = torch::tensor({1., 0., 0., 0., -1., 0., 0., 0., -1.}).view({3, 3});
    REQUIRE_CLOSE(light_axes(scene), plain, 1e-6);
    // A camera that looks down a little, and one that looks straight down with its top ahead.
    for (const double angle : {0.4, M_PI / 2}) {
        const auto tilt = exp_map(torch::tensor({{float(angle), 0.F, 0.F}}))[0];
        scene.camera.rotation = tilt;
        REQUIRE_CLOSE(light_axes(scene), plain, 1e-5);
    }
    scene.camera = ball_scene().camera.orbit(scene.root, -scene.up, M_PI / 2);
    const auto axes = light_axes(scene);
    REQUIRE_CLOSE(axes[2], -scene.camera.rotation[2], 1e-5);
    REQUIRE_CLOSE(axes.matmul(axes.t()), torch::eye(3), 1e-6);
    REQUIRE(torch::det(axes).item<double>() > 0);
}

TEST_CASE("in the light of a file the person is as bright as before, and lit from there",
          "[relight]") {
    const TemporaryFolder folder;
    const auto file = folder.path / "light.hdr";
    const auto truth = synthetic_light("B");
    write_radiance(file, truth.picture());
    const auto avatar = lit_ball();
    relight(avatar, ball_scene(), file);
    const auto light = own_light(avatar);
    REQUIRE(light->level().mean().item<double>() == Approx(1).epsilon(1e-4));
    const auto n = any_directions(200).to(torch::kFloat);
    const auto seen = light->filtered().diffuse(n);
    std::vector<torch::Tensor> rows;
    for (int64_t k = 0; k < n.size(0); ++k) {
        const auto color =
            truth.on({n[k][0].item<float>(), n[k][1].item<float>(), n[k][2].item<float>()});
        rows.push_back(torch::tensor({color[0], color[1], color[2]}));
    }
    const auto wanted = torch::stack(rows);
    const auto scale = (seen * wanted).sum() / (wanted * wanted).sum();
    REQUIRE((seen / scale - wanted).abs().max().item<double>() < 0.05);
    REQUIRE((seen / scale - wanted).abs().mean().item<double>() < 0.015);

    write_whole(file, std::string_view("\x76\x2f\x31\x01"));
    REQUIRE(throws_error([&] { relight(avatar, ball_scene(), file); }, "OpenEXR"));
    REQUIRE_FALSE(has_light(lit_ball("field")));
    REQUIRE(throws_error([&] { relight(lit_ball("field"), ball_scene(), file); },
                         "only one of materials can be lit otherwise"));
}

TEST_CASE("a light turns about up, to an angle and not by it", "[relight]") {
    const auto avatar = lit_ball();
    const auto scene = ball_scene();
    own_light(avatar)->set(uneven_light().to(torch::kFloat), light_axes(scene));
    const auto n = any_directions(100).to(torch::kFloat);
    const auto seen = [&](const torch::Tensor& at) {
        return own_light(avatar)->filtered().diffuse(at);
    };
    const auto before = seen(n);
    const auto saved = drawable(SavedAvatar{avatar, {}, scene});
    const auto quarter = exp_map((M_PI / 2 * scene.up).unsqueeze(0))[0];
    for (int times = 0; times < 2; ++times) {
        saved.turn_light(90);
        REQUIRE_CLOSE(seen(n.matmul(quarter.t())), before, 1e-5);
    }
    REQUIRE(distance(seen(n), before) > 0.01);
    saved.turn_light(0);
    REQUIRE_CLOSE(seen(n), before, 1e-5);
}

TEST_CASE("a sequence in which the light alone turns", "[relight][shots]") {
    const auto scene = ball_scene();
    const auto lit = drawable(SavedAvatar{lit_ball(), {}, scene});
    const auto still = plan_sequence(lit, {.rotate_light = 4});
    REQUIRE(still.name == "light");
    REQUIRE(still.shots.size() == 4);
    for (size_t k = 0; k < 4; ++k) {
        REQUIRE(still.shots[k].light == 90 * double(k));
        REQUIRE(torch::equal(still.shots[k].camera.rotation, scene.camera.rotation));
    }
    const auto orbit = plan_sequence(lit, {.orbit = 3});
    for (const auto& shot : orbit.shots) REQUIRE(shot.light == 0);
    const auto plain = drawable(SavedAvatar{lit_ball("field"), {}, scene});
    REQUIRE(throws_error([&] { plan_sequence(plain, {.rotate_light = 4}); }, "--rotate-light"));
}
