#include <fmgs/eval/metrics.h>

#include <fmgs/core/check.h>
#include <fmgs/losses/normal.h>
#include <fmt/format.h>

#include <limits>

namespace fmgs {
namespace {

const torch::Tensor* true_map(const Frame& frame, const char* name) {
    const auto* exact = frame.truth.find(name);
    return exact ? exact : frame.maps.find(name);
}

void measure_depth(const Maps& rendered, const Frame& frame, const torch::Tensor& where,
                   MetricValues& out) {
    const auto *truth = frame.truth.find("depth"), *depth = rendered.find("depth");
    if (!truth || !depth) return;
    const auto valid = where & (*truth > 0) & truth->isfinite();
    out.emplace_back("depth_mae", depth_mae(*depth, *truth, valid));
    out.emplace_back("depth_mae_aligned", aligned_depth_mae(*depth, *truth, valid));
}

void measure_normals(const Maps& rendered, const Frame& frame, const torch::Tensor& where,
                     MetricValues& out) {
    const auto *truth = frame.truth.find("normal"), *normal = rendered.find("normal"),
               *depth = rendered.find("depth");
    if (!truth) return;
    const auto valid = where & (truth->square().sum(0, true) > 0.25);
    if (normal) {
        const auto errors = normal_errors(*normal, *truth, valid);
        out.emplace_back("normal_deg", errors.mean);
        out.emplace_back("normal_median_deg", errors.median);
        out.emplace_back("normal_11", errors.below_11);
        out.emplace_back("normal_22", errors.below_22);
        out.emplace_back("normal_30", errors.below_30);
    }
    if (depth && frame.camera.intrinsics.defined()) {
        const auto from = normal_from_depth(*depth, frame.camera, rendered.at("alpha")[0] > 0.5);
        const auto both = valid & from.valid.unsqueeze(0);
        out.emplace_back("depth_normal_deg", normal_errors(from.normal, *truth, both).mean);
    }
}

}  // namespace

torch::Tensor rendered_labels(const torch::Tensor& logits, const torch::Tensor& alpha) {
    check_shape(logits, {-1, -1, -1}, "semantic");
    check_shape(alpha, {1, logits.size(1), logits.size(2)}, "alpha");
    if (logits.size(0) < 2)
        throw Error(fmt::format("semantic: expected at least two classes, got {}", logits.size(0)));
    return torch::where(alpha[0] > 0.5, logits.slice(0, 1).argmax(0) + 1,
                        torch::zeros({}, torch::kInt64));
}

Confusion::Confusion(int64_t classes) : counts_(torch::zeros({classes, classes}, torch::kInt64)) {}

void Confusion::add(const torch::Tensor& labels, const torch::Tensor& truth) {
    check_shape(truth, {-1, -1}, "true labels");
    check_shape(labels, {truth.size(0), truth.size(1)}, "labels");
    const int64_t k = counts_.size(0);
    const auto t = truth.to(torch::kInt64), l = labels.to(torch::kInt64);
    const auto valid = (t >= 0) & (t < k) & (l >= 0) & (l < k);
    const auto pairs = (t * k + l).masked_select(valid);
    counts_ += torch::bincount(pairs.cpu(), {}, k * k).view({k, k});
}

double Confusion::mean_iou(double share) const {
    const auto c = counts_.to(torch::kFloat64);
    const auto truth = c.sum(1), found = c.sum(0), hit = c.diagonal();
    const double foreground = truth.slice(0, 1).sum().item<double>();
    double sum = 0;
    int64_t classes = 0;
    for (int64_t k = 1; k < c.size(0); ++k) {
        const double t = truth[k].item<double>(), h = hit[k].item<double>();
        if (t <= 0 || t < share * foreground) continue;
        sum += h / (t + found[k].item<double>() - h);
        ++classes;
    }
    return classes == 0 ? std::numeric_limits<double>::quiet_NaN()
                        : sum / static_cast<double>(classes);
}

Compared compared(const Maps& rendered, const Frame& frame) {
    const auto *color = rendered.find("color"), *truth = true_map(frame, "color"),
               *alpha = rendered.find("alpha"), *mask = true_map(frame, "mask");
    if (!color || !truth) return {};
    const auto everywhere = torch::ones_like(truth->narrow(0, 0, 1));
    return {*color, alpha ? *alpha : everywhere, *truth, mask ? *mask : everywhere, {}};
}

MetricValues evaluate_frame(const Maps& rendered, const Frame& frame, Confusion* confusion,
                            const LpipsNetworks& networks) {
    const torch::NoGradGuard guard;  // measuring only
    MetricValues out;
    const auto* mask = true_map(frame, "mask");
    if (const auto pictures = compared(rendered, frame); pictures.color.defined()) {
        out = measure(preset("clean"), pictures, networks);
        if (mask) out.emplace_back("psnr_person", psnr(pictures.color, pictures.true_color, *mask));
        out.emplace_back("mae", mean_absolute_error(pictures.color, pictures.true_color));
    }
    if (!rendered.contains("alpha")) return out;
    const auto& alpha = rendered.at("alpha");
    auto where = alpha > 0.5;
    if (mask) {
        out.emplace_back("mask_iou", mask_iou(alpha, *mask));
        out.emplace_back("mask_boundary_f", mask_boundary_f(alpha, *mask));
        where = where & (*mask > 0.5);
    }
    measure_depth(rendered, frame, where, out);
    measure_normals(rendered, frame, where, out);
    const auto* labels = frame.truth.find("semantic");
    if (confusion && labels && rendered.contains("semantic"))
        confusion->add(rendered_labels(rendered.at("semantic"), alpha), *labels);
    return out;
}

}  // namespace fmgs
