#include <fmgs/core/check.h>
#include <fmgs/losses/pixels.h>

namespace fmgs {

torch::Tensor target(const LossInput& input, const std::string& name,
                     std::initializer_list<int64_t> shape, const torch::Tensor& like) {
    const auto* map = input.frame.maps.find(name);
    if (!map) throw Error("frame '{}' has no map '{}'", input.frame.name, name);
    check_shape(*map, shape, fmt::format("map '{}' of frame '{}'", name, input.frame.name).c_str());
    const bool labels = !map->is_floating_point() && map->scalar_type() != torch::kBool;
    return labels ? map->to(like.device()) : map->to(like.options());
}

torch::Tensor inside_mask(const LossInput& input, const torch::Tensor& like) {
    return target(input, "mask", {1, like.size(-2), like.size(-1)}, like).squeeze(0) > 0.5;
}

torch::Tensor foreground(const LossInput& input) {
    const auto& alpha = input.rendered.at("alpha");
    return inside_mask(input, alpha).logical_and(alpha.squeeze(0) > 0.5);
}

torch::Tensor masked_mean(const torch::Tensor& value, const torch::Tensor& where) {
    return value.masked_fill(where.logical_not(), 0).sum() / where.sum().clamp_min(1);
}

torch::Tensor connected_zero(const torch::Tensor& x) { return x.flatten().narrow(0, 0, 0).sum(); }

}  // namespace fmgs
