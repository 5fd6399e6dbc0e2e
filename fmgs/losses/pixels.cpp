#include <fmgs/losses/pixels.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

namespace fmgs {

torch::Tensor target(const LossInput& input, const std::string& name,
                     std::initializer_list<int64_t> shape, const torch::Tensor& like) {
    const auto* map = input.frame.maps.find(name);
    if (!map) throw Error(fmt::format("frame '{}' has no map '{}'", input.frame.name, name));
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

Columns::Columns(const torch::Tensor& where, bool static_shapes) {
    if (static_shapes)
        where_ = where.flatten();
    else
        pixels_ = where.flatten().nonzero().squeeze(1);
}

torch::Tensor Columns::pick(const torch::Tensor& map, double filler) const {
    if (pixels_.defined()) return map.flatten(1).index_select(1, pixels_);
    return map.flatten(1).masked_fill(where_.logical_not(), filler);
}

torch::Tensor Columns::mean(const torch::Tensor& values) const {
    if (pixels_.defined()) return values.sum() / double(std::max<int64_t>(values.numel(), 1));
    return masked_mean(values, where_);
}

torch::Tensor connected_zero(const torch::Tensor& x) { return x.flatten().narrow(0, 0, 0).sum(); }

}  // namespace fmgs
