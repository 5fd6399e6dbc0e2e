/// Writes the standard scene for other rasterizers, with what fmgs::rasterize makes of it:
///   bench_scene FILE.npz
/// center [N,3], tangents [N,3,2] (scaled, metres), opacity [N,1] and colors [N,3] in the camera's
/// frame, intrinsics [4], near, low_pass; image [3,H,W] and alpha [1,H,W]; and of the sum of
/// image ⊙ cotangent the gradients center_grad, opacity_grad and colors_grad.
#include <fmgs/core/io/npz.h>
#include <fmgs/run/program.h>
#include <fmt/format.h>
#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "standard_scene.h"

int main(int argc, char** argv) {
    using namespace fmgs::bench;
    const std::string file = argc == 2 ? argv[1] : "--help";
    if (file.starts_with("-")) {
        fmt::print("usage: {} FILE.npz\nWrites the standard scene for other rasterizers.\n",
                   argv[0]);
        return file == "--help" ? 0 : 2;
    }
    return fmgs::guarded([&] {
        torch::manual_seed(7);
        const Scene s = scene(kStandardSigma);
        const auto center = s.center.clone().requires_grad_(true),
                   opacity = s.opacity.clone().requires_grad_(true),
                   colors = torch::rand({kSurfels, 3}).requires_grad_(true),
                   cotangent = torch::randn({3, kSize, kSize});
        const auto drawn =
            fmgs::rasterize(center.unsqueeze(0), s.tangents.unsqueeze(0), opacity.unsqueeze(0),
                            colors, torch::zeros({3}, torch::kLong), s.intrinsics, s.tiles);
        const auto gradients =
            torch::autograd::grad({drawn.image}, {center, opacity, colors}, {cotangent});
        const auto array = [](const torch::Tensor& x) { return fmgs::npy_array(x.data()); };
        fmgs::write_npz(file, {{"center", array(center)},
                               {"tangents", array(s.tangents)},
                               {"opacity", array(opacity)},
                               {"colors", array(colors)},
                               {"intrinsics", array(s.intrinsics)},
                               {"near", array(torch::tensor(s.tiles.near))},
                               {"low_pass", array(torch::tensor(s.tiles.low_pass))},
                               {"image", array(drawn.image)},
                               {"alpha", array(drawn.alpha[0])},
                               {"cotangent", array(cotangent)},
                               {"center_grad", array(gradients[0])},
                               {"opacity_grad", array(gradients[1])},
                               {"colors_grad", array(gradients[2])}});
        return 0;
    });
}
