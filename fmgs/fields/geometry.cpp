#include <fmgs/fields/geometry.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/random.h>
#include <fmt/format.h>
#include <torch/types.h>

namespace fmgs {

GeometryFieldImpl::GeometryFieldImpl(const GeometryFieldOptions& options, const torch::Tensor& box,
                                     int64_t pose_code_width, uint64_t seed)
    : options_(options), pose_code_width_(pose_code_width) {
    check_ranges(options, "avatar.geometry");
    const Random random{seed};
    volume_ =
        register_module("volume", HashGrid(options.volume, box, random.number("geometry.volume")));
    const int64_t heads = (options.free_offset ? 3 : 1) + 2 + 3;
    std::vector<int64_t> widths{volume_->width() + pose_code_width};
    widths.insert(widths.end(), static_cast<size_t>(options.layers), options.hidden);
    widths.push_back(heads + options.code);
    mlp_ = register_module("mlp", Mlp(widths, random.number("geometry.mlp")));
    mlp_->zero_outputs(0, heads);
}

GeometryResidual GeometryFieldImpl::forward(const FieldInput& in) {
    const int64_t axes = options_.free_offset ? 3 : 1;
    if (in.progress < options_.start) {
        const auto none = [&](int64_t width) {
            return in.at.centers().new_zeros({in.at.centers().size(0), width});
        };
        return {none(axes), none(2), none(3), none(options_.code)};
    }
    // [f, Z_p] → (δd, δs, δr, z_g)
    const auto out = mlp_->forward(volume_->forward(in.at), in.pose_code);
    const auto part = out.split_with_sizes({axes, 2, 3, options_.code}, 1);
    const auto bounded = [](const torch::Tensor& m, double bound) {
        return bound * torch::tanh(m / bound);
    };
    return {options_.offset_bound * torch::tanh(part[0]), bounded(part[1], options_.scale_bound),
            bounded(part[2], options_.rotation_bound), part[3]};
}

std::shared_ptr<torch::nn::Module> GeometryFieldImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, options_, volume_->box(), pose_code_width_);
}

}  // namespace fmgs
