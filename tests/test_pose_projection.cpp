// The pose that conditions the fields is held near the training poses; the bones keep the true one.
#include <fmgs/bake.h>

#include "support/ball.h"
#include "support/tiny_avatar.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

std::vector<BodyPose> poses(int64_t count, double size = 0.3) {
    std::vector<BodyPose> out;
    for (int64_t k = 0; k < count; ++k)
        out.push_back(
            {exp_map(size * torch::randn({3, 3}, Random{7, k}.generator("pose"), torch::kFloat)),
             torch::tensor({0.F, 0.F, 2.F})});
    return out;
}

Avatar ball_avatar(int64_t components, const std::string& geometry = "field") {
    auto options = ball_options();
    options.geometry.type = geometry;
    options.pose_projection.components = components;
    Avatar avatar(paper_parts(BodyModel(ball_data(), torch::zeros({0}), 0), options));
    perturb(*avatar);
    avatar->fit_projection(poses(6));
    avatar->eval();
    return avatar;
}

const BodyPose kFar{exp_map(torch::tensor({{0.2F, 0.F, 0.F}, {1.5F, 0.F, 1.F}, {0.F, -2.F, 0.F}})),
                    torch::tensor({0.F, 0.F, 2.F})};

}  // namespace

TEST_CASE("a joint counts by the vertices that turn with it, its children's included",
          "[projection]") {
    auto data = ball_data();
    data.weights = torch::zeros_like(data.weights);
    data.weights.slice(0, 0, 10).select(1, 1).fill_(1);
    data.weights.slice(0, 10).select(1, 0).fill_(1);
    const BodyModel body(data, torch::zeros({0}), 0);
    const double count = double(data.vertices.size(0));
    const auto turned = turned_vertices(*body);
    REQUIRE_CLOSE(turned, torch::tensor({count, 10.0, 1.0}, torch::kDouble), 1e-6);  // none: one
    data.parents = torch::tensor({-1, 0, 1}, torch::kLong);
    data.weights.slice(0, 0, 4).copy_(torch::tensor({0.F, 0.25F, 0.75F}).expand({4, 3}));
    REQUIRE_CLOSE(turned_vertices(*BodyModel(data, torch::zeros({0}), 0)),
                  torch::tensor({count, 10.0, 3.0}, torch::kDouble), 1e-6);
}

TEST_CASE("a projected pose is that of the subspace, and the root stays", "[projection]") {
    PoseProjection projection(torch::tensor({9.F, 4.F, 1.F}), PoseProjectionOptions{2, 1});
    std::vector<torch::Tensor> rotations;
    for (const auto& pose : poses(8)) rotations.push_back(pose.rotations);
    const auto all = torch::stack(rotations);
    projection->fit(all);
    SubspaceProjection subspace(18, 2, 1);
    subspace->fit(all.slice(1, 1).flatten(1),
                  torch::tensor({2.F, 1.F}).repeat_interleave(9));  // √ of the vertices
    const auto near = projection->forward(kFar.rotations);
    REQUIRE(torch::equal(near[0], kFar.rotations[0]));
    REQUIRE_CLOSE(near.slice(0, 1).flatten(),
                  subspace->forward(kFar.rotations.slice(0, 1).reshape({1, -1}))[0], 1e-6);
    const auto code = projection->subspace().encode(near.slice(0, 1).reshape({1, -1}))[0];
    REQUIRE((code.abs() <= projection->subspace().limits() * 1.0001).all().item<bool>());
    const auto copy = std::dynamic_pointer_cast<PoseProjectionImpl>(projection->clone());
    REQUIRE(torch::equal(copy->forward(kFar.rotations), near));
    REQUIRE(throws_error([&] { projection->forward(kFar.rotations.slice(0, 1)); }, "rotations"));
    REQUIRE(throws_error(
        [] {
            PoseProjection(torch::ones({1}), PoseProjectionOptions{1, 2});
        },
        "the body has one joint"));
}

TEST_CASE("the projection conditions the fields of a drawn avatar, and no bone moves by it",
          "[projection]") {
    const torch::NoGradGuard guard;
    const auto camera = ball_frame().camera;
    // Without residuals the posed surfels are the same to the bit: only their colour is another.
    auto plain = ball_avatar(0, "none"), projected = ball_avatar(2, "none");
    const auto a = plain->forward(camera, kFar), b = projected->forward(camera, kFar);
    REQUIRE(torch::equal(a.bones, b.bones));
    REQUIRE(torch::equal(a.posed().center, b.posed().center));
    REQUIRE(torch::equal(a.posed().tangents, b.posed().tangents));
    REQUIRE(distance(a.features.at("color"), b.features.at("color")) > 1e-3);
    // In training, and before it is fitted, the pose is taken as it is.
    projected->train();
    REQUIRE(torch::equal(projected->forward(camera, kFar).pose_code, a.pose_code));
    // With residuals: those of the projected pose at the bones of the true one.
    auto full = ball_avatar(2);
    const auto s = full->forward(camera, kFar);
    const auto near = full->parts().projection->forward(kFar.rotations);
    REQUIRE(torch::equal(s.pose_code, full->parts().encoder->forward(near)));
    REQUIRE(torch::equal(s.bones, full->parts().body->bones(kFar)));
    const auto copy = std::dynamic_pointer_cast<AvatarImpl>(full->clone());
    REQUIRE(torch::equal(copy->forward(camera, kFar).position, s.position));
}

TEST_CASE("an avatar without a projection has no such part", "[projection]") {
    REQUIRE(AvatarOptions{}.pose_projection.components == 0);
    auto avatar = ball_avatar(0);
    REQUIRE_FALSE(avatar->parts().projection);
    REQUIRE_FALSE(avatar->parts().blendshapes);
    for (const auto& item : avatar->named_buffers())
        REQUIRE(item.key().find("projection") == std::string::npos);
}

TEST_CASE("a projected avatar is baked only where that is asked for, without the projection",
          "[projection]") {
    auto saved = tiny_avatar();
    auto parts = saved.avatar->parts();
    const auto plain = bake(saved.avatar, saved.scene, {.components = 1, .views = 1});
    parts.projection =
        std::make_shared<PoseProjectionImpl>(torch::ones({3}), PoseProjectionOptions{2, 0.1});
    saved.avatar = Avatar(parts);
    saved.avatar->fit_projection({saved.scene.pose(0), saved.scene.pose(1)});
    saved.avatar->eval();
    REQUIRE(throws_error([&] { bake(saved.avatar, saved.scene); }, "bake --unprojected"));
    saved.avatar->train();
    const auto baked = bake(saved.avatar, saved.scene, {.components = 1, .views = 1});
    REQUIRE(torch::equal(baked->parts().mean, plain->parts().mean));
}
