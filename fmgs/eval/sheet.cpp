#include <fmgs/eval/sheet.h>

#include <fmgs/core/check.h>
#include <fmgs/eval/colors.h>
#include <fmgs/losses/normal.h>
#include <fmgs/raster/render.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fmgs {

namespace {

constexpr int64_t kMargin = 8;  // pixels around the subject

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

/// Cuts maps to the subject.
struct Cut {
    int64_t top, bottom, left, right;
    torch::Tensor operator()(const torch::Tensor& image) const {
        return image.slice(1, top, bottom)
            .slice(2, left, right)
            .to(torch::kCPU, torch::kFloat32)
            .clamp(0, 1);
    }
};

/// `where`: alpha above a half, [1,H,W] bool.
Cut around_subject(const Frame& frame, const torch::Tensor& where) {
    const auto* mask = frame.maps.find("mask");
    const auto subject = (mask ? where | (*mask > 0.5).to(where.device()) : where)[0];
    const auto [top, bottom] = extent(subject.any(1), kMargin);
    const auto [left, right] = extent(subject.any(0), kMargin);
    return {top, bottom, left, right};
}

torch::Tensor drawn(const Frame& frame, const Maps& rendered) {
    const auto* alpha = rendered.find("alpha");
    return alpha ? *alpha > 0.5
                 : torch::ones({1, frame.camera.height, frame.camera.width}, torch::kBool);
}

/// Rows of five points of three pixels each, the leftmost the highest bit: 0 to 9, then the point.
constexpr std::array<std::array<int, 5>, 11> kDigits = {{{7, 5, 5, 5, 7},
                                                         {2, 6, 2, 2, 7},
                                                         {7, 1, 7, 4, 7},
                                                         {7, 1, 7, 1, 7},
                                                         {5, 5, 7, 1, 1},
                                                         {7, 4, 7, 1, 7},
                                                         {7, 4, 7, 5, 7},
                                                         {7, 1, 1, 2, 2},
                                                         {7, 5, 7, 5, 7},
                                                         {7, 5, 7, 1, 7},
                                                         {0, 0, 0, 0, 2}}};
constexpr int64_t kDot = 2;  // pixels of a digit's point

/// A number in white, [3,5·kDot,4·kDot·letters].
torch::Tensor number_picture(const std::string& text) {
    auto out = torch::zeros({5, 4 * static_cast<int64_t>(text.size())});
    for (size_t k = 0; k < text.size(); ++k) {
        const auto& rows = kDigits[text[k] == '.' ? 10 : static_cast<size_t>(text[k] - '0')];
        for (int64_t y = 0; y < 5; ++y) {
            for (int64_t x = 0; x < 3; ++x)
                out[y][4 * static_cast<int64_t>(k) + x] =
                    (rows[static_cast<size_t>(y)] >> (2 - x)) & 1;
        }
    }
    return out.repeat_interleave(kDot, 0).repeat_interleave(kDot, 1).expand({3, -1, -1});
}

}  // namespace

std::pair<int64_t, int64_t> extent(const torch::Tensor& set, int64_t margin) {
    const auto at = set.nonzero();
    if (at.numel() == 0) return {0, set.size(0)};
    return {std::max<int64_t>(0, at[0].item<int64_t>() - margin),
            std::min(set.size(0), at[-1].item<int64_t>() + 1 + margin)};
}

torch::Tensor sheet_row(const Frame& frame, const Maps& rendered) {
    const torch::NoGradGuard guard;  // pictures only
    const auto* alpha = rendered.find("alpha");
    const auto where = drawn(frame, rendered);
    const auto cut = around_subject(frame, where);
    std::vector<torch::Tensor> images;
    const auto add = [&](const torch::Tensor& image) { images.push_back(cut(image)); };
    if (const auto* truth = frame.maps.find("color")) add(*truth);
    const auto seen = alpha ? *alpha : where.to(torch::kFloat32);
    const auto add_map = [&](const std::string& name) {
        if (const auto* map = rendered.find(name)) add(colorize(name, *map, seen));
    };
    for (const auto* name : {"color", "alpha", "depth", "normal"}) add_map(name);
    if (rendered.contains("depth")) {
        const auto of_depth = normal_from_depth(rendered.at("depth"), frame.camera, where[0]);
        add(colorize("depth_normal", of_depth.normal, seen));
    }
    add_map("semantic");
    for (const auto& [name, map] : rendered) {
        if (!is_geometry(name) && name != "color" && name != "semantic") add_map(name);
    }
    return beside(images);
}

torch::Tensor error_row(const Frame& frame, const Maps& rendered, double most) {
    const torch::NoGradGuard guard;  // pictures only
    const auto cut = around_subject(frame, drawn(frame, rendered));
    const auto truth = cut(frame.maps.at("color")), color = cut(rendered.at("color"));
    return beside({truth, color, colorize_error((truth - color).abs().mean(0), most)});
}

torch::Tensor error_legend(double most, int64_t height) {
    constexpr int64_t kBar = 16, kSteps = 5, kGap = 4;
    const auto value = torch::linspace(1, 0, height).view({-1, 1}).expand({-1, kBar});
    auto out = torch::zeros({3, height, kBar + kGap + 4 * 4 * kDot});
    out.narrow(2, 0, kBar).copy_(colorize_error(value, 1));
    for (int64_t k = 0; k < kSteps; ++k) {
        const double share = static_cast<double>(k) / (kSteps - 1);
        const auto number = number_picture(fmt::format("{:.2f}", share * most));
        const auto rows = std::min(number.size(1), height);
        const auto top = static_cast<int64_t>((1 - share) * static_cast<double>(height - rows));
        out.narrow(1, top, rows)
            .narrow(2, kBar + kGap, number.size(2))
            .copy_(number.narrow(1, 0, rows));
    }
    return out;
}

torch::Tensor beside(const std::vector<torch::Tensor>& images, int64_t gap) {
    return joined(images, gap, 2);
}
torch::Tensor below(const std::vector<torch::Tensor>& images, int64_t gap) {
    return joined(images, gap, 1);
}

}  // namespace fmgs
