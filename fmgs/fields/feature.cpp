#include <fmgs/fields/feature.h>

#include <fmgs/core/config/config.h>
#include <fmgs/core/random.h>
#include <torch/types.h>

namespace fmgs {

FeatureFieldImpl::FeatureFieldImpl(const FeatureFieldOptions& options, const torch::Tensor& box,
                                   uint64_t seed)
    : options_(options) {
    check_ranges(options, "feature field");
    const Random random{seed};
    volume_ =
        register_module("volume", HashGrid(options.volume, box, random.number("feature.volume")));
    mlp_ = register_module(
        "mlp", Mlp(std::vector<int64_t>{volume_->width(), options.hidden, options.channels},
                   random.number("feature.mlp")));
}

FeatureSample FeatureFieldImpl::forward(const FieldInput& input) {
    auto latent = volume_->forward(input.at);
    auto value = mlp_->forward(latent);
    return {latent, value};
}

std::shared_ptr<torch::nn::Module> FeatureFieldImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, options_, volume_->box());
}

}  // namespace fmgs
