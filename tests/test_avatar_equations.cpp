// Eqs. 2–9 with heads that are set by hand and not zero, each against its formula.
#include <torch/types.h>

#include "support/ball.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

const auto kDoubles = torch::TensorOptions(torch::kDouble);

torch::Tensor draw(torch::IntArrayRef shape, double size, uint64_t seed) {
    return size * torch::randn(shape, Random{seed}.generator("heads"), kDoubles);
}

/// Gives what it was told.
struct FixedGeometry : Geometry {
    GeometryResidual residual;
    GeometryResidual forward(const FieldInput&) override { return residual; }
};

/// Writes down what it was given.
struct WatchedAppearance : Appearance {
    FieldInput given;
    torch::Tensor forward(const FieldInput& input) override {
        given = input;
        return torch::full({input.at.size(), 3}, 0.5, kDoubles);
    }
};

/// Weights that follow the position.
struct SlopedSkinning : Skinning {
    torch::Tensor slope = draw({3, 3}, 3, 20);
    torch::Tensor forward(const torch::Tensor& x) override {
        return torch::softmax(x.matmul(slope), 1);
    }
};

struct Stage {
    std::shared_ptr<FixedGeometry> geometry = std::make_shared<FixedGeometry>();
    std::shared_ptr<WatchedAppearance> appearance = std::make_shared<WatchedAppearance>();
    std::shared_ptr<SlopedSkinning> skinning = std::make_shared<SlopedSkinning>();
    Avatar avatar{nullptr};
    Camera camera;
    BodyPose pose;

    Stage() {
        auto parts = paper_parts(BodyModel(ball_data(), torch::zeros({0}), 0), ball_options());
        parts.geometry = geometry;
        parts.appearance = appearance;
        parts.skinning = skinning;
        parts.features.clear();
        const int64_t N = parts.surfels->size();
        geometry->residual = {draw({N, 1}, 0.03, 1), draw({N, 2}, 0.3, 2), draw({N, 3}, 0.4, 3),
                              draw({N, 4}, 1, 4)};
        avatar = Avatar(parts);
        avatar->to(torch::kDouble);
        const auto frame = ball_frame().to(torch::kDouble);
        pose = frame.pose;
        camera = frame.camera;
        camera.rotation = exp_map(torch::tensor({{0.2, -0.3, 0.1}}, kDoubles))[0];
        camera.translation = torch::tensor({0.1, 0.2, 0.3}, kDoubles);
    }
    Surfels operator()() { return avatar->forward(camera, pose); }
};

torch::Tensor unit(const torch::Tensor& x) { return x / x.norm(2, 1, true); }

/// T₃⁻¹ (x - eye), normalised; with torch's general inverse.
torch::Tensor carried_back(const Surfels& s, const Camera& camera) {
    const auto T = torch::einsum("nj,jab->nab", {s.skinning, s.bones});
    const auto T3 = T.slice(1, 0, 3).slice(2, 0, 3);
    const auto x =
        torch::matmul(T3, s.position.unsqueeze(2)).squeeze(2) + T.slice(1, 0, 3).select(2, 3);
    const auto eye = -torch::matmul(camera.rotation.t(), camera.translation);
    return unit(torch::matmul(at::linalg_inv(T3), (x - eye).unsqueeze(2)).squeeze(2));
}

}  // namespace

TEST_CASE("eq. 4: the position moves along the outward normal by the offset", "[avatar]") {
    Stage stage;
    const auto s = stage();
    const auto& surfels = stage.avatar->parts().surfels;
    const auto& offset = stage.geometry->residual.offset;
    REQUIRE_CLOSE(s.position, surfels->position() + offset * surfels->normal(), 1e-12);
    // Outward of the ball: a positive offset leads away from its centre.
    const auto further = s.position.norm(2, 1) - surfels->position().norm(2, 1);
    REQUIRE(((further > 0) == (offset.squeeze(1) > 0)).all().item<bool>());
    stage.geometry->residual.offset = draw({surfels->size(), 3}, 0.03, 5);
    REQUIRE_CLOSE(stage().position, surfels->position() + stage.geometry->residual.offset, 1e-12);
}

TEST_CASE("eq. 5: the scale is multiplied by the exponential", "[avatar]") {
    Stage stage;
    const auto log_scale = stage.avatar->named_parameters()["surfels.log_scale"];
    REQUIRE_CLOSE(stage().scale.log(), log_scale + stage.geometry->residual.scale, 1e-12);
}

TEST_CASE("eq. 6: the residual rotation is applied in the surfel's own frame", "[avatar]") {
    Stage stage;
    const auto R = stage.avatar->parts().surfels->rotation();
    const auto turn = torch::matrix_exp(skew(stage.geometry->residual.rotation));
    REQUIRE_CLOSE(stage().rotation, torch::matmul(R, turn), 1e-12);
}

TEST_CASE("eq. 7: colour is given the geometry code, the pose code and the view direction",
          "[avatar]") {
    Stage stage;
    const auto s = stage();
    const auto& given = stage.appearance->given;
    REQUIRE(torch::equal(given.geometry_code, stage.geometry->residual.code));
    REQUIRE(torch::equal(given.pose_code,
                         stage.avatar->parts().encoder->forward(stage.pose.rotations)));
    REQUIRE(torch::equal(given.at.centers(), stage.avatar->parts().surfels->center()));
    REQUIRE(torch::equal(given.position, s.position));
    REQUIRE_CLOSE(given.direction, carried_back(s, stage.camera), 1e-12);
    REQUIRE_CLOSE(given.eye, stage.camera.center(), 1e-15);
    REQUIRE_FALSE(given.random.has_value());
    REQUIRE(given.posed == nullptr);
}

TEST_CASE("the view direction is that of the inverse for sheared and for mirrored bones",
          "[avatar]") {
    Stage stage;
    auto bones = torch::eye(4, kDoubles).repeat({3, 1, 1});
    bones.slice(1, 0, 3) += draw({3, 3, 4}, 0.15, 7);
    bones.select(2, 3).narrow(1, 0, 3) += torch::tensor({0., 0., 2.}, kDoubles);
    for (const double side : {1.0, -1.0}) {
        stage.pose.bones = bones.clone();
        stage.pose.bones.select(2, 0) *= side;
        const auto s = stage();
        REQUIRE(torch::equal(s.bones, stage.pose.bones));
        REQUIRE_CLOSE(stage.appearance->given.direction, carried_back(s, stage.camera), 1e-10);
    }
}

TEST_CASE("eq. 9: skinning weights are sampled at the moved position", "[avatar]") {
    Stage stage;
    const auto s = stage();
    const auto weights = [&](const torch::Tensor& x) {
        return torch::softmax(x.matmul(stage.skinning->slope), 1);
    };
    REQUIRE_CLOSE(s.skinning, weights(s.position), 1e-12);
    REQUIRE(distance(s.skinning, weights(stage.avatar->parts().surfels->position())) > 1e-2);
}

TEST_CASE("encoder input and view direction carry no gradient", "[avatar]") {
    Stage stage;
    for (auto* x : {&stage.pose.rotations, &stage.pose.translation, &stage.camera.rotation,
                    &stage.camera.translation, &stage.geometry->residual.offset})
        x->requires_grad_(true);
    const auto s = stage();
    const auto& given = stage.appearance->given;
    REQUIRE_FALSE(given.direction.requires_grad());
    REQUIRE_FALSE(given.position.requires_grad());
    REQUIRE_FALSE(given.eye.requires_grad());
    const auto moved = [](const torch::Tensor& y, const torch::Tensor& x) {
        return torch::autograd::grad({y.sum()}, {x}, {}, true, false, true)[0].defined();
    };
    REQUIRE_FALSE(moved(given.pose_code, stage.pose.rotations));
    REQUIRE(moved(s.bones.square(), stage.pose.rotations));
    REQUIRE(moved(s.bones.square(), stage.pose.translation));
    REQUIRE(moved(s.skinning.square(), stage.geometry->residual.offset));
}
