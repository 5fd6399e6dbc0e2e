#include <fmgs/data/check/box_fit.h>

#include <torch/types.h>

#include <algorithm>

namespace fmgs {

namespace {

struct Box {
    double x, y, height;  // centre and height, pixels
};

Box box_of(const torch::Tensor& mask) {
    const auto bounds = [](const torch::Tensor& any) {
        const auto at = any.nonzero();
        return std::pair{at.min().item<double>(), at.max().item<double>() + 1};
    };
    const auto [left, right] = bounds(mask.any(0));
    const auto [top, bottom] = bounds(mask.any(1));
    return {(left + right) / 2, (top + bottom) / 2, bottom - top};
}

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

}  // namespace

Camera BoxFit::changed(Camera camera) const {
    const auto& k = camera.intrinsics;
    camera.intrinsics = k * torch::tensor({scale, scale, 1.0, 1.0}, k.options()) +
                        torch::tensor({0.0, 0.0, right, down}, k.options());
    return camera;
}

std::optional<BoxFits> fit_boxes(const std::vector<torch::Tensor>& silhouettes,
                                 const std::vector<CheckedFrame>& frames) {
    struct Pair {
        Box body, mask;
        double cx, cy;
    };
    std::vector<Pair> pairs;
    for (size_t i = 0; i < frames.size(); ++i) {
        const auto& [name, camera, pose, mask, priors] = frames[i];
        if (!silhouettes[i].any().item<bool>() || !mask.any().item<bool>()) continue;
        pairs.push_back({box_of(silhouettes[i]), box_of(mask), camera.intrinsics[2].item<double>(),
                         camera.intrinsics[3].item<double>()});
    }
    if (pairs.empty()) return std::nullopt;
    const auto median_of = [&](auto value) {
        std::vector<double> values;
        for (const auto& pair : pairs) values.push_back(value(pair));
        return median(values);
    };
    const double scale = median_of([](const Pair& p) { return p.mask.height / p.body.height; });
    const auto shift = [&](double s) -> BoxFit {
        return {s,
                median_of([=](const Pair& p) { return p.mask.x - p.cx - s * (p.body.x - p.cx); }),
                median_of([=](const Pair& p) { return p.mask.y - p.cy - s * (p.body.y - p.cy); })};
    };
    return BoxFits{shift(1), {scale, 0, 0}, shift(scale)};
}

}  // namespace fmgs
