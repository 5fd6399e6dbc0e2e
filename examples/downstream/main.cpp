#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/fmgs.h>
#include <torch/torch.h>
using torch::Tensor;

struct OneTint : fmgs::Appearance {  // a field of our own, three numbers: all surfels alike
    Tensor forward(const fmgs::FieldInput& in) override {
        return tint.sigmoid().expand({in.at.size(), 3});
    }
    Tensor tint = register_parameter("tint", torch::zeros({3}));
};

struct Lambert : OneTint {  // the same under a lamp: reads the posed normal of each loss's route
    bool reads_posed() const override { return true; }
    Tensor forward(const fmgs::FieldInput& in) override {
        auto lamp = torch::tensor({0.f, 0.6f, 0.8f});
        auto lit = in.posed->normal.matmul(lamp).clamp_min(0.1).unsqueeze(1);
        return OneTint::forward(in) * lit;
    }
};

struct Brightness : fmgs::Loss {  // a loss of our own: the picture's mean colour should be white
    std::vector<std::string> needs() const override { return {"color"}; }
    Tensor forward(const fmgs::LossInput& in) override {
        return 1 - in.rendered.at("color").mean();
    }
};

/// One training step with this appearance; the brightest pixel then.
float brightest(std::shared_ptr<fmgs::Appearance> appearance) {
    fmgs::BodyModel body(fmgs::procedural_body(), torch::zeros({0}));
    fmgs::AvatarOptions options;
    options.subdivisions = 0;
    auto parts = fmgs::paper_parts(body, options);
    parts.appearance = appearance;
    fmgs::Avatar avatar(parts);
    fmgs::Objective objective;
    objective->add("bright", std::make_shared<Brightness>(), 1.0, fmgs::Reach::of({"color"}));
    fmgs::Frame frame;
    auto eye = torch::tensor({0.f, 0.f, 3.f}), up = torch::tensor({0.f, 1.f, 0.f});
    frame.camera = fmgs::Camera::look_at(eye, torch::zeros({3}), up, /*focal=*/100, 96, 96);
    frame.pose = {torch::eye(3).repeat({body->joint_count(), 1, 1}), torch::zeros({3})};
    auto surfels = [&] { return avatar->forward(frame.camera, frame.pose); };
    objective->forward(surfels(), frame, {}, 0).total.backward();
    torch::optim::SGD(avatar->parameters(), /*lr=*/100.0).step();
    auto maps = fmgs::render(surfels().posed(), frame.camera, {"color"});
    return maps.at("color").max().item<float>();
}

int main() {
    auto tint = std::make_shared<OneTint>();
    auto lambert = std::make_shared<Lambert>();
    if (tint->parameters().size() != 1 || tint->tint.numel() != 3) return 1;
    // Both began at half of white; the lamp leaves a part of it.
    return brightest(tint) > 0.5 && brightest(lambert) > 0.4 ? 0 : 1;
}
