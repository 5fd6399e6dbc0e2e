#include <fmgs/eval/sheet.h>

#include <fmgs/core/check.h>
#include <fmgs/eval/colors.h>
#include <fmgs/losses/normal.h>
#include <fmgs/raster/render.h>

#include <algorithm>

namespace fmgs {

namespace {

/// First and last+1 index of what is set, with a margin; everything when nothing is.
std::pair<int64_t, int64_t> extent(const torch::Tensor& set) {
    constexpr int64_t kMargin = 8;
    const auto at = set.nonzero();
    if (at.numel() == 0) return {0, set.size(0)};
    return {std::max<int64_t>(0, at[0].item<int64_t>() - kMargin),
            std::min(set.size(0), at[-1].item<int64_t>() + 1 + kMargin)};
}

torch::Tensor joined(const std::vector<torch::Tensor>& images, int64_t gap, int64_t dim) {
    if (images.empty()) throw Error("a sheet needs at least one picture");
    const int64_t other = dim == 1 ? 2 : 1;
    int64_t length = gap * (static_cast<int64_t>(images.size()) - 1), breadth = 0;
    for (const auto& image : images) {
        check_shape(image, {3, -1, -1}, "picture");
        length += image.size(dim);
        breadth = std::max(breadth, image.size(other));
    }
    std::vector<int64_t> shape = {3, breadth, breadth};
    shape[static_cast<size_t>(dim)] = length;
    auto out = torch::full(shape, 0.5, torch::kFloat32);
    int64_t at = 0;
    for (const auto& image : images) {
        out.narrow(dim, at, image.size(dim)).narrow(other, 0, image.size(other)).copy_(image);
        at += image.size(dim) + gap;
    }
    return out;
}

}  // namespace

torch::Tensor sheet_row(const Frame& frame, const Maps& rendered) {
    const torch::NoGradGuard guard;  // pictures only
    const int64_t h = frame.camera.height, w = frame.camera.width;
    const auto* alpha = rendered.find("alpha");
    const auto where = alpha ? *alpha > 0.5 : torch::ones({1, h, w}, torch::kBool);
    const auto* mask = frame.maps.find("mask");
    const auto subject = (mask ? where | (*mask > 0.5).to(where.device()) : where)[0];
    const auto [top, bottom] = extent(subject.any(1));
    const auto [left, right] = extent(subject.any(0));
    std::vector<torch::Tensor> images;
    const auto add = [&, t = top, b = bottom, l = left, r = right](const torch::Tensor& image) {
        images.push_back(
            image.slice(1, t, b).slice(2, l, r).to(torch::kCPU, torch::kFloat32).clamp(0, 1));
    };
    if (const auto* truth = frame.maps.find("color")) add(*truth);
    const auto seen = alpha ? *alpha : torch::ones({1, h, w});
    const auto add_map = [&](const std::string& name) {
        if (const auto* map = rendered.find(name)) add(colorize(name, *map, seen));
    };
    for (const auto* name : {"color", "alpha", "depth", "normal"}) add_map(name);
    if (rendered.contains("depth")) {
        const auto [normal, valid] =
            normal_from_depth(rendered.at("depth"), frame.camera, where[0]);
        add(colorize_normal(normal, valid.unsqueeze(0)));
    }
    add_map("semantic");
    for (const auto& [name, map] : rendered) {
        if (!is_geometry(name) && name != "color" && name != "semantic") add_map(name);
    }
    return beside(images);
}

torch::Tensor beside(const std::vector<torch::Tensor>& images, int64_t gap) {
    return joined(images, gap, 2);
}
torch::Tensor below(const std::vector<torch::Tensor>& images, int64_t gap) {
    return joined(images, gap, 1);
}

}  // namespace fmgs
