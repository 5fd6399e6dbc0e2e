// How well and how fast the skinning field is fitted before training: the posed template under the
// field's weights against exact linear blend skinning.   bench_prefit [BODY.npz [STEPS POINTS]]
#include <fmgs/core/body_model.h>
#include <fmgs/core/random.h>
#include <fmgs/core/rotation.h>
#include <fmgs/core/surfels.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/fields/skinning.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <chrono>

using namespace fmgs;

int main(int argc, char** argv) {
    const auto data = argc > 1 ? read_body(argv[1]) : procedural_body();
    const BodyModel body(data, torch::zeros({0}));
    const auto mesh = body->canonical();
    SkinningFieldOptions options;
    if (argc > 3) {
        options.prefit_steps = std::stoll(argv[2]);
        options.prefit_points = std::stoll(argv[3]);
    }
    SkinningField field(options, padded_box(mesh.vertices), body->joint_count());
    const auto start = std::chrono::steady_clock::now();
    const double loss = prefit_skinning(*field, mesh, body->weights(), options, 1);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;

    const torch::NoGradGuard guard;
    double mean = 0, worst = 0;
    constexpr int kPoses = 8;
    for (int k = 0; k < kPoses; ++k) {
        const auto turns =
            0.4 * torch::randn({body->joint_count(), 3}, Random{0, k}.generator("pose"));
        const auto bones = body->bones({exp_map(turns), torch::zeros({3})});
        const auto place = [&](const torch::Tensor& weights) {
            const auto T = blend_bones(weights, bones).narrow(1, 0, 3);
            return torch::matmul(T.narrow(2, 0, 3), mesh.vertices.unsqueeze(2)).squeeze(2) +
                   T.select(2, 3);
        };
        const auto error =
            (place(field->forward(mesh.vertices)) - place(body->weights())).norm(2, 1);
        mean += error.mean().item<double>() / kPoses;
        worst = std::max(worst, error.max().item<double>());
    }
    fmt::print(
        "{} steps of {} points: {:.1f} s, L_skin {:.2e}, posed error mean {:.2f} mm, max {:.1f} "
        "mm\n",
        options.prefit_steps, options.prefit_points, took.count(), loss, 1e3 * mean, 1e3 * worst);
}
