// The 30-line introduction: a few hundred 2D Gaussian surfels learn a picture.
//   hello_surfels [PICTURE] [OUTPUT]      default: a drawn test picture, hello_surfels.png
#include <ATen/CPUGeneratorImpl.h>
#include <fmgs/core/check.h>
#include <fmgs/data/image_io.h>
#include <fmgs/raster/render.h>
#include <fmt/format.h>
#include <torch/optim/adam.h>

#include <cmath>
#include <cstdio>

namespace {

constexpr int64_t kSide = 96;

torch::Tensor test_picture() {  // a sun over hills
    const auto t = (torch::arange(kSide) + 0.5) / kSide;
    const auto x = t.view({1, -1}), y = t.view({-1, 1});
    const auto sky =
        torch::stack({0.3 + 0.5 * y + 0 * x, 0.5 + 0.3 * y + 0 * x, 0.9 - 0.2 * y + 0 * x});
    const auto sun = ((x - 0.7).pow(2) + (y - 0.25).pow(2) < 0.02).unsqueeze(0);
    const auto hill = (y > 0.65 + 0.12 * (9 * x).sin()).unsqueeze(0);
    const auto yellow = torch::tensor({1.0, 0.9, 0.3}).view({3, 1, 1}),
               green = torch::tensor({0.2, 0.5, 0.2}).view({3, 1, 1});
    return torch::where(hill, green, torch::where(sun, yellow, sky)).to(torch::kFloat);
}

void fit(const torch::Tensor& picture, const std::string& output) {
    const int64_t height = picture.size(1), width = picture.size(2), n = 400;
    // A camera at the origin that sees the square [-0.5, 0.5]² of the plane z = 1.
    const auto focal = static_cast<float>(width);
    const fmgs::Camera camera{torch::eye(3), torch::zeros(3),
                              torch::tensor({focal, focal, focal / 2, height / 2.F}), width,
                              height};
    auto draw = at::make_generator<at::CPUGeneratorImpl>(1);
    auto place =
        torch::cat({torch::rand({n, 2}, draw) - 0.5, torch::ones({n, 1})}, 1).requires_grad_();
    auto tangents = (torch::eye(3, 2) * 0.025)
                        .expand({n, 3, 2})
                        .clone()
                        .requires_grad_();  // two scaled axes: 2.5 cm wide
    auto opacity = torch::zeros({n, 1}, torch::requires_grad());
    auto color = torch::zeros({n, 3}, torch::requires_grad());
    const auto group = [](std::vector<torch::Tensor> parameters, double rate) {
        return torch::optim::OptimizerParamGroup(std::move(parameters),
                                                 std::make_unique<torch::optim::AdamOptions>(rate));
    };
    torch::optim::Adam adam(
        {group({place}, 2e-3), group({tangents}, 1e-3), group({opacity, color}, 5e-2)});
    const auto normal = torch::tensor({0.F, 0.F, -1.F}).expand({n, 3});
    for (int64_t step = 0; step <= 600; ++step) {
        const fmgs::PosedSurfels surfels{
            place, tangents, normal, opacity.sigmoid(), {{"color", color.sigmoid()}}};
        const auto image = fmgs::render(surfels, camera, {"color"}).at("color");
        const auto loss = (image - picture).pow(2).mean();
        if (step % 100 == 0) {
            fmt::print("step {:4}  psnr {:.2f} dB\n", step, -10 * std::log10(loss.item<double>()));
            fmgs::write_color(output, torch::cat({picture, image}, 2));
        }
        adam.zero_grad();
        loss.backward();
        adam.step();
    }
    fmt::print("picture | surfels: {}\n", output);
}

}  // namespace

int main(int argc, char** argv) try {
    const std::string output = argc > 2 ? argv[2] : "hello_surfels.png";
    if (!output.ends_with(".png"))
        throw fmgs::Error(output + ": expected a name that ends in .png, which is what is written");
    fit(argc > 1 ? fmgs::read_color(argv[1]) : test_picture(), output);
} catch (...) {
    std::fprintf(stderr, "hello_surfels: %s\n", fmgs::message_of(std::current_exception()).c_str());
    return 1;
}
