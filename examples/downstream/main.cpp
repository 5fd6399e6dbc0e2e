#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/fmgs.h>
#include <torch/torch.h>
using torch::Tensor;

struct OneTint : fmgs::AppearanceFieldImpl {  // a field of our own: all surfels have one colour
    using AppearanceFieldImpl::AppearanceFieldImpl;
    Tensor forward(const fmgs::FixedPoints& at, const Tensor&, const Tensor&, const Tensor&,
                   const fmgs::Random*) override {
        return tint.sigmoid().expand({at.size(), 3});
    }
    Tensor tint = register_parameter("tint", torch::zeros({3}));
};

struct Brightness : fmgs::Loss {  // a loss of our own: the picture's mean colour should be white
    std::vector<std::string> needs() const override { return {"color"}; }
    Tensor forward(const fmgs::LossInput& in) override {
        return 1 - in.rendered.at("color").mean();
    }
};

int main() {
    fmgs::BodyModel body(fmgs::procedural_body(), torch::zeros({0}));
    auto parts = fmgs::paper_parts(body, {.subdivisions = 0});
    auto box = fmgs::padded_box(body->shaped());
    parts.appearance = std::make_shared<OneTint>(fmgs::AppearanceFieldOptions{}, box, 16, 16);
    fmgs::Avatar avatar(parts);
    fmgs::Objective objective;
    objective->add("bright", std::make_shared<Brightness>(), 1.0, fmgs::Reach::of({"color"}));
    fmgs::Frame frame;
    auto facing = torch::diag(torch::tensor({1.f, -1.f, -1.f})),
         at = torch::tensor({0.f, 0.f, 3.f});
    frame.camera = {facing, at, torch::tensor({100.f, 100.f, 48.f, 48.f}), 96, 96};
    frame.pose = {torch::eye(3).repeat({body->joint_count(), 1, 1}), torch::zeros({3})};
    auto surfels = [&] { return avatar->forward(frame.camera, frame.pose); };
    objective->forward(surfels(), frame, {}, 0).total.backward();
    torch::optim::SGD(avatar->parameters(), /*lr=*/10.0).step();
    auto maps = fmgs::render(surfels().posed(), frame.camera, {"color"});
    return maps.at("color").max().item<float>() > 0.5 ? 0 : 1;  // it began at 0.5 · alpha
}
