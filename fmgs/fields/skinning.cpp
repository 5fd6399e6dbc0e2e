#include <fmgs/fields/skinning.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/random.h>
#include <fmt/format.h>
#include <torch/optim.h>
#include <torch/types.h>

#include <numbers>

namespace fmgs {

SkinningFieldImpl::SkinningFieldImpl(const SkinningFieldOptions& options, const torch::Tensor& box,
                                     int64_t joint_count, uint64_t seed)
    : options_(options), joint_count_(joint_count) {
    check_ranges(options, "avatar.skinning");
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

std::shared_ptr<torch::nn::Module> SkinningFieldImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, options_, volume_->box(), joint_count_);
}

namespace {

/// Adam whose rates fall over the pre-fit. Hash tables take larger steps than the network: most of
/// their entries see few points.
class PrefitOptimizer {
  public:
    explicit PrefitOptimizer(const Skinning& skinning) {
        std::vector<torch::Tensor> tables, others = skinning.parameters(/*recurse=*/false);
        for (const auto& part : skinning.modules(/*include_self=*/false)) {
            auto& list = dynamic_cast<const HashGridImpl*>(part.get()) ? tables : others;
            const auto own = part->parameters(/*recurse=*/false);
            list.insert(list.end(), own.begin(), own.end());
        }
        add(tables, 2e-2);
        add(others, 3e-3);
        if (groups_.empty())
            throw Error("pre-fit: this skinning has no parameters; set avatar.skinning.prefit off");
        adam_ = std::make_unique<torch::optim::Adam>(groups_, torch::optim::AdamOptions(1e-3));
    }
    torch::TensorOptions options() const { return groups_.front().params().front().options(); }
    /// `share` of the steps is done.
    void step(const torch::Tensor& loss, double share) {
        const double falling = 0.5 * (1 + std::cos(std::numbers::pi * share));
        for (size_t k = 0; k < rates_.size(); ++k)
            adam_->param_groups()[k].options().set_lr(rates_[k] * (0.02 + 0.98 * falling));
        adam_->zero_grad();
        loss.backward();
        adam_->step();
    }
    void finish() { adam_->zero_grad(); }

  private:
    void add(const std::vector<torch::Tensor>& parameters, double rate) {
        if (parameters.empty()) return;
        groups_.emplace_back(parameters, std::make_unique<torch::optim::AdamOptions>(rate));
        rates_.push_back(rate);
    }

    std::vector<torch::optim::OptimizerParamGroup> groups_;
    std::vector<double> rates_;
    std::unique_ptr<torch::optim::Adam> adam_;
};

/// Points on and around the surface, and the faces that they belong to.
struct PrefitSamples {
    torch::Tensor x;  // [n,3]
    SurfaceSamples on;
};

PrefitSamples draw_samples(const SurfaceSampler& sampler, const Mesh& mesh,
                           const torch::Tensor& normals, const SkinningFieldOptions& options,
                           at::Generator generator) {
    const int64_t points = options.prefit_points;
    auto samples = sampler.sample(points, generator);
    // Every other point falls on a face whatever its area: hands and feet have many small ones.
    samples.face.slice(0, 0, points, 2)
        .copy_(torch::randint(mesh.faces.size(0), {(points + 1) / 2}, generator,
                              samples.face.options()));
    // Half lie on the surface; the rest up to the shell's thickness off it, where surfels may move.
    auto height = torch::empty({points, 1}, mesh.vertices.options()).uniform_(-1, 1, generator);
    height.slice(0, 0, points / 2).zero_();
    const auto x = interpolate(samples, mesh.faces, mesh.vertices) +
                   options.prefit_shell * height * normals.index_select(0, samples.face);
    return {x, samples};
}

}  // namespace

double prefit_skinning(Skinning& skinning, const Mesh& canonical, const torch::Tensor& weights,
                       const SkinningFieldOptions& options, uint64_t seed,
                       const std::function<void(int64_t, int64_t, double)>& progress) {
    check_shape(weights, {canonical.vertices.size(0), -1}, "weights of the template");
    const int64_t steps = options.prefit_steps;
    const auto normals = face_normals(canonical);
    const SurfaceSampler sampler(canonical);
    PrefitOptimizer optimizer(skinning);
    double loss_value = 0;
    for (int64_t step = 0; step < steps; ++step) {
        const auto samples = draw_samples(sampler, canonical, normals, options,
                                          Random{seed, step}.generator("skinning_prefit"));
        const auto wanted =
            interpolate(samples.on, canonical.faces, weights).to(optimizer.options());
        const auto found = skinning.forward(samples.x.to(optimizer.options()));
        check_shape(found, {wanted.size(0), wanted.size(1)}, "skinning weights of the pre-fit");
        // Cross-entropy: the gradient of L_skin itself dies where the softmax is sure of a wrong
        // joint. The bound keeps the logarithm finite and is far below what a softmax is sure of.
        const auto cross_entropy = -(wanted * found.clamp_min(1e-30).log()).sum(1).mean();
        optimizer.step(cross_entropy, static_cast<double>(step) / static_cast<double>(steps));
        if (step % 50 == 49 || step + 1 == steps) {
            loss_value = (found - wanted).square().sum(1).mean().item<double>();  // L_skin
            if (progress) progress(step + 1, steps, loss_value);
        }
    }
    optimizer.finish();
    return loss_value;
}

}  // namespace fmgs
