#include <fmgs/fields/skinning_volume.h>

#include <fmgs/core/check.h>
#include <torch/types.h>

namespace fmgs {

SkinningVolumeImpl::SkinningVolumeImpl(const Volume& weights) {
    check_shape(weights.values, {-1, -1, -1, -1}, "skinning volume");
    check_shape(weights.box, {2, 3}, "box of the skinning volume");
    volume_.values = register_buffer("values", weights.values.clone());
    volume_.box = register_buffer("box", weights.box.to(weights.values.scalar_type()).clone());
}

torch::Tensor SkinningVolumeImpl::forward(const torch::Tensor& x) { return sample(volume_, x); }

std::shared_ptr<torch::nn::Module> SkinningVolumeImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, volume_);
}

}  // namespace fmgs
