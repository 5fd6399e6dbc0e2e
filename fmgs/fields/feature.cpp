
#include <fmgs/fields/feature.h>

#include <fmgs/core/random.h>
#include <torch/types.h>

namespace fmgs {

FeatureFieldImpl::FeatureFieldImpl(const FeatureFieldOptions& options, const torch::Tensor& box,
                                   uint64_t seed) {
    const Random random{seed};
    volume_ =
        register_module("volume", HashGrid(options.volume, box, random.number("feature.volume")));
    mlp_ = register_module(
        "mlp", Mlp(std::vector<int64_t>{volume_->width(), options.hidden, options.channels},
                   random.number("feature.mlp")));
}

FeatureSample FeatureFieldImpl::forward(const FixedPoints& at) {
    auto latent = volume_->forward(at);
    auto value = mlp_->forward(latent);
    return {latent, value};
}

}  // namespace fmgs
