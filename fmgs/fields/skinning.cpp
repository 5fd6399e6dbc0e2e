
#include <fmgs/fields/skinning.h>

#include <fmgs/core/check.h>
#include <fmgs/core/random.h>
#include <fmt/format.h>
#include <torch/optim.h>
#include <torch/types.h>

#include <numbers>

namespace fmgs {

SkinningFieldImpl::SkinningFieldImpl(const SkinningFieldOptions& options, const torch::Tensor& box,
                                     int64_t joint_count, uint64_t seed)
    : options_(options), joint_count_(joint_count) {
    if (options.layers < 1 || options.prefit_steps < 1 || options.prefit_points < 1 ||
        options.prefit_shell < 0) {
        throw Error(fmt::format(
            "skinning field: expected layers, prefit_steps and prefit_points >= 1 and prefit_shell "
            ">= 0, got {}, {}, "
            "{} and {}",
            options.layers, options.prefit_steps, options.prefit_points, options.prefit_shell));
    }
    const Random random{seed};
    volume_ =
        register_module("volume", HashGrid(options.volume, box, random.number("skinning.volume")));
    std::vector<int64_t> widths{volume_->width()};
    widths.insert(widths.end(), static_cast<size_t>(options.layers), options.hidden);
    widths.push_back(joint_count);
    mlp_ = register_module("mlp", Mlp(widths, random.number("skinning.mlp")));
}

torch::Tensor SkinningFieldImpl::forward(const torch::Tensor& x) {
    return torch::softmax(mlp_->forward(volume_->forward(x)), 1);
}

double SkinningFieldImpl::prefit(const Mesh& canonical, const torch::Tensor& weights, uint64_t seed,
                                 const std::function<void(int64_t, int64_t, double)>& progress) {
    check_shape(weights, {canonical.vertices.size(0), joint_count_}, "weights of the template");
    const int64_t steps = options_.prefit_steps, points = options_.prefit_points;
    const auto normals = face_normals(canonical);
    const auto device = volume_->parameters().front().device();
    // The table takes larger steps than the network: most of its entries see few points.
    std::vector<torch::optim::OptimizerParamGroup> groups;
    groups.emplace_back(volume_->parameters(), std::make_unique<torch::optim::AdamOptions>(2e-2));
    groups.emplace_back(mlp_->parameters(), std::make_unique<torch::optim::AdamOptions>(3e-3));
    torch::optim::Adam optimizer(groups, torch::optim::AdamOptions(1e-3));
    const std::vector<double> initial{2e-2, 3e-3};
    const SurfaceSampler sampler(canonical);
    double loss_value = 0;
    for (int64_t step = 0; step < steps; ++step) {
        auto generator = Random{seed, step}.generator("skinning_prefit");
        auto samples = sampler.sample(points, generator);
        // Every other point falls on a face whatever its area: hands and feet have many small ones.
        samples.face.slice(0, 0, points, 2)
            .copy_(torch::randint(canonical.faces.size(0), {(points + 1) / 2}, generator,
                                  samples.face.options()));
        // Half lie on the surface; the rest up to the shell's thickness off it, where surfels may
        // move.
        auto height =
            torch::empty({points, 1}, canonical.vertices.options()).uniform_(-1, 1, generator);
        height.slice(0, 0, points / 2).zero_();
        const auto x = interpolate(samples, canonical.faces, canonical.vertices) +
                       options_.prefit_shell * height * normals.index_select(0, samples.face);
        const auto target = interpolate(samples, canonical.faces, weights).to(device);
        const double falling = 0.5 * (1 + std::cos(std::numbers::pi * static_cast<double>(step) /
                                                   static_cast<double>(steps)));
        for (size_t k = 0; k < groups.size(); ++k) {
            optimizer.param_groups()[k].options().set_lr(initial[k] * (0.02 + 0.98 * falling));
        }
        optimizer.zero_grad();
        // Cross-entropy: the gradient of L_skin itself dies where the softmax is sure of a wrong
        // joint.
        const auto log_weights =
            torch::log_softmax(mlp_->forward(volume_->forward(x.to(device))), 1);
        (-(target * log_weights).sum(1).mean()).backward();
        optimizer.step();
        if (step % 50 == 49 || step + 1 == steps) {
            // L_skin
            loss_value = (log_weights.exp() - target).square().sum(1).mean().item<double>();
            if (progress) progress(step + 1, steps, loss_value);
        }
    }
    optimizer.zero_grad();
    return loss_value;
}

}  // namespace fmgs
