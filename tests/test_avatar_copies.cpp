// The avatar in another type, copied, loaded, and seen by another camera.
#include "support/ball.h"
#include "support/module.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

BodyModel ball(double size = 1) {
    auto data = ball_data();
    data.vertices *= size;
    return BodyModel(data, torch::zeros({0}), 0);
}

Avatar ball_avatar(double size = 1, AvatarOptions options = ball_options()) {
    Avatar avatar(paper_parts(ball(size), options));
    perturb(*avatar);
    return avatar;
}

std::vector<torch::Tensor> values(const Surfels& s) {
    return {s.position,
            s.rotation,
            s.scale,
            s.opacity,
            s.skinning,
            s.bones,
            s.features.at("color"),
            s.features.at("semantic"),
            s.latents.at("semantic")};
}

std::vector<torch::Tensor> drawn(Avatar& avatar, const Frame& frame = ball_frame()) {
    torch::NoGradGuard guard;
    return values(avatar->forward(frame.camera, frame.pose));
}

bool equal(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
    for (size_t k = 0; k < a.size(); ++k)
        if (!torch::equal(a[k], b[k])) return false;
    return a.size() == b.size();
}

}  // namespace

TEST_CASE("an avatar in double draws what it draws in float, and indices stay integers",
          "[avatar]") {
    auto avatar = ball_avatar();
    const auto single = drawn(avatar);
    avatar->to(torch::kDouble);
    size_t integers = 0;
    for (const auto& item : avatar->named_buffers()) {
        INFO(item.key());
        const auto& type = item.value().scalar_type();
        REQUIRE((type == torch::kDouble || type == torch::kLong));
        integers += type == torch::kLong;
    }
    REQUIRE(integers == 5);  // faces, parents, neighbours, and two of the encoder
    for (const auto& p : avatar->parameters()) REQUIRE(p.scalar_type() == torch::kDouble);
    const auto twice = drawn(avatar, ball_frame().to(torch::kDouble));
    for (size_t k = 0; k < single.size(); ++k) {
        REQUIRE(twice[k].scalar_type() == torch::kDouble);
        REQUIRE_CLOSE(single[k], twice[k], 2e-6);  // measured 2.7e-7
    }
    REQUIRE(throws_error([&] { drawn(avatar); }, "expected Double like the avatar, got Float"));
    avatar->to(torch::kCPU, torch::kFloat);
    REQUIRE(equal(drawn(avatar), single));
}

TEST_CASE("a clone gives the same bits and trains on its own", "[avatar]") {
    auto avatar = ball_avatar();
    const auto before = drawn(avatar);
    Avatar copy(std::dynamic_pointer_cast<AvatarImpl>(avatar->clone()));
    REQUIRE(equal(drawn(copy), before));
    const auto mine = avatar->named_parameters(), its = copy->named_parameters();
    REQUIRE(mine.size() == its.size());
    for (const auto& item : mine) {
        INFO(item.key());
        REQUIRE(its[item.key()].is_leaf());
        REQUIRE(its[item.key()].requires_grad());
        REQUIRE_FALSE(its[item.key()].is_alias_of(item.value()));
    }
    for (const auto& item : avatar->named_buffers()) {
        INFO(item.key());
        if (item.value().numel() == 0) continue;  // betas: none
        REQUIRE_FALSE(copy->named_buffers()[item.key()].is_alias_of(item.value()));
    }

    const auto frame = ball_frame();
    copy->forward(frame.camera, frame.pose).features.at("color").sum().backward();
    for (const auto& p : avatar->parameters()) REQUIRE_FALSE(p.grad().defined());
    perturb(*copy);
    REQUIRE(equal(drawn(avatar), before));
    REQUIRE_FALSE(equal(drawn(copy), before));
}

TEST_CASE("a clone keeps type, frozen parameters and free surfels", "[avatar]") {
    auto options = ball_options();
    options.surfels.free = true;
    options.surfels.learn_opacity = false;
    auto avatar = ball_avatar(1, options);
    avatar->to(torch::kDouble);
    avatar->named_parameters()["surfels.log_scale"].set_requires_grad(false);
    Avatar copy(std::dynamic_pointer_cast<AvatarImpl>(avatar->clone(torch::kCPU)));
    REQUIRE_FALSE(copy->named_parameters()["surfels.log_scale"].requires_grad());
    const auto frame = ball_frame().to(torch::kDouble);
    REQUIRE(equal(drawn(copy, frame), drawn(avatar, frame)));
}

TEST_CASE("a part that stands in two places is copied once", "[avatar]") {
    auto parts = paper_parts(ball(), ball_options());
    parts.features.emplace_back("again", parts.features.front().second);
    Avatar avatar(parts);
    Avatar copy(std::dynamic_pointer_cast<AvatarImpl>(avatar->clone()));
    const auto& features = copy->parts().features;
    REQUIRE(features[0].second == features[1].second);
    REQUIRE(features[0].second != parts.features[0].second);
}

TEST_CASE("a class that does not say how it is copied is not copied by half", "[avatar]") {
    struct Warmer : AppearanceFieldImpl {
        using AppearanceFieldImpl::AppearanceFieldImpl;
        torch::Tensor warmth = register_parameter("warmth", torch::ones({3}));
    };
    auto parts = paper_parts(ball(), ball_options());
    parts.appearance = std::make_shared<Warmer>(
        ball_options().appearance, padded_box(ball_data().vertices), parts.geometry ? 16 : 0, 16);
    Avatar avatar(parts);
    REQUIRE(throws_error([&] { avatar->clone(); }, "clone() is not implemented"));
}

TEST_CASE("the state of an avatar with another body gives that avatar's bits", "[avatar]") {
    auto avatar = ball_avatar(), other = ball_avatar(1.2);
    drawn(avatar);  // corners of its own body are found
    REQUIRE_FALSE(equal(drawn(avatar), drawn(other)));
    REQUIRE(test::copy_state(*other, *avatar));
    REQUIRE(equal(drawn(avatar), drawn(other)));
}

TEST_CASE("free surfels read the volumes where they began, wherever they went", "[avatar]") {
    auto options = ball_options();
    options.surfels.free = true;
    auto avatar = ball_avatar(1, options);
    const auto at_start = drawn(avatar)[8];
    {
        torch::NoGradGuard guard;
        avatar->named_parameters()["surfels.offset"].add_(0.1);
    }
    REQUIRE(torch::equal(drawn(avatar)[8], at_start));
    avatar->to(torch::kCPU);
    avatar->to(torch::kDouble);
    avatar->to(torch::kFloat);
    REQUIRE(torch::equal(drawn(avatar)[8], at_start));
}

TEST_CASE("another camera changes the colour and nothing else", "[avatar]") {
    auto avatar = ball_avatar();
    auto frame = ball_frame();
    const auto first = avatar->forward(frame.camera, frame.pose);
    const auto center = torch::tensor({0.F, 0.F, 2.F}), up = torch::tensor({0.F, 1.F, 0.F});
    const auto side = frame.camera.orbit(center, up, 1.2);
    const auto second = avatar->seen_from(first, side);
    REQUIRE(equal(values(second), values(avatar->forward(side, frame.pose))));
    REQUIRE_FALSE(torch::equal(second.features.at("color"), first.features.at("color")));
    REQUIRE(second.position.is_same(first.position));
    REQUIRE(second.skinning.is_same(first.skinning));
    REQUIRE(second.features.at("semantic").is_same(first.features.at("semantic")));
    const Random random{1, 2};
    REQUIRE(equal(values(avatar->seen_from(avatar->forward(frame.camera, frame.pose, &random), side,
                                           &random)),
                  values(avatar->forward(side, frame.pose, &random))));
    REQUIRE(throws_error([&] { avatar->seen_from(Surfels{}, side); }, "that this avatar's"));
}

TEST_CASE("a step over two cameras has the sum of the two gradients", "[avatar]") {
    auto avatar = ball_avatar();
    const auto frame = ball_frame();
    const auto side =
        frame.camera.orbit(torch::tensor({0.F, 0.F, 2.F}), torch::tensor({0.F, 1.F, 0.F}), 1.2);
    const auto loss = [](const Surfels& s) {
        const auto p = s.posed();
        return p.center.square().sum() + p.features.at("color").square().sum();
    };
    const auto gradient = [&](const torch::Tensor& total) {
        avatar->zero_grad();
        total.backward();
        return avatar->named_parameters()["geometry.mlp.weight0"].grad().clone();
    };
    const auto a = gradient(loss(avatar->forward(frame.camera, frame.pose)));
    const auto b = gradient(loss(avatar->forward(side, frame.pose)));
    const auto first = avatar->forward(frame.camera, frame.pose);
    const auto both = gradient(loss(first) + loss(avatar->seen_from(first, side)));
    REQUIRE(distance(a, b) > 1e-3);
    REQUIRE_CLOSE(both, a + b, 1e-6);  // measured 7.7e-8
}
