// Surfels without a body: one bone that stays, and attributes that are ours to optimise.
#include <fmgs/fmgs.h>
#include <torch/torch.h>

int main() {
    constexpr int64_t kCount = 200;
    auto generator = fmgs::Random{.seed = 1}.generator("place");
    fmgs::Surfels surfels;
    surfels.position = torch::rand({kCount, 3}, generator, torch::kFloat) - 0.5;
    surfels.rotation = torch::eye(3).repeat({kCount, 1, 1});
    surfels.scale = torch::full({kCount, 2}, 0.05);
    surfels.opacity = torch::full({kCount, 1}, 0.9);
    surfels.skinning = torch::ones({kCount, 1});
    surfels.bones = torch::eye(4).unsqueeze(0);
    auto color = torch::zeros({kCount, 3}, torch::requires_grad());
    surfels.features.set("color", color);

    auto camera = fmgs::Camera::look_at(torch::tensor({0.f, 0.f, 3.f}), torch::zeros({3}),
                                        torch::tensor({0.f, 1.f, 0.f}), /*focal=*/100, 96, 96);
    torch::optim::Adam adam({color}, 0.1);
    double loss = 1;
    for (int step = 0; step < 20; ++step) {
        auto maps = fmgs::render(surfels.posed(), camera, {"color", "alpha"});
        auto miss = (maps.at("color") - maps.at("alpha")).square().mean();  // all of it white
        adam.zero_grad();
        miss.backward();
        adam.step();
        loss = miss.item<double>();
    }
    return loss < 1e-2 ? 0 : 1;
}
