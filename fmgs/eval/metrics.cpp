#include <fmgs/eval/metrics.h>

#include <fmgs/core/check.h>
#include <fmgs/losses/photometric.h>
#include <fmt/format.h>
#include <torch/nn/functional/conv.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace fmgs {

namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double decibel(double mse) { return mse <= 1e-10 ? 100 : -10 * std::log10(mse); }

void check_pair(const torch::Tensor& a, const torch::Tensor& b, int64_t channels,
                const char* name) {
    check_shape(b, {channels, -1, -1}, name);
    check_shape(a, {channels, b.size(1), b.size(2)}, name);
}

torch::Tensor square_error(const torch::Tensor& image, const torch::Tensor& truth) {
    check_pair(image, truth, 3, "color");
    return (image.to(torch::kFloat64).clamp(0, 1) - truth.to(torch::kFloat64).clamp(0, 1)).square();
}

const torch::Tensor* true_map(const Frame& frame, const char* name) {
    const auto* exact = frame.truth.find(name);
    return exact ? exact : frame.maps.find(name);
}

double value_of(const MetricValues& values, const std::string& name) {
    for (const auto& [key, value] : values) {
        if (key == name) return value;
    }
    return kNone;
}

/// A field of a CSV file (RFC 4180): in quotes where it holds what would end it.
std::string csv_field(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string out = "\"";
    for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
    return out + "\"";
}

/// All metric names of some rows, in order of appearance.
template <class Rows>
std::vector<std::string> names_of(const Rows& rows) {
    std::vector<std::string> names;
    for (const auto& row : rows) {
        for (const auto& [name, value] : row.second) {
            if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
        }
    }
    return names;
}

}  // namespace

double psnr(const torch::Tensor& image, const torch::Tensor& truth) {
    return decibel(square_error(image, truth).mean().item<double>());
}

double psnr(const torch::Tensor& image, const torch::Tensor& truth, const torch::Tensor& mask) {
    check_pair(mask, mask, 1, "mask");
    const auto inside = (mask > 0.5).expand({3, -1, -1});
    const auto errors = square_error(image, truth).masked_select(inside);
    return errors.numel() == 0 ? kNone : decibel(errors.mean().item<double>());
}

double mean_ssim(const torch::Tensor& image, const torch::Tensor& truth) {
    check_pair(image, truth, 3, "color");
    return ssim(image.to(torch::kFloat64).clamp(0, 1), truth.to(torch::kFloat64).clamp(0, 1))
        .item<double>();
}

double mask_iou(const torch::Tensor& alpha, const torch::Tensor& mask) {
    check_pair(alpha, mask, 1, "mask");
    const auto a = alpha > 0.5, b = mask > 0.5;
    const auto both = (a & b).sum().item<int64_t>(), either = (a | b).sum().item<int64_t>();
    return either == 0 ? 1 : static_cast<double>(both) / static_cast<double>(either);
}

double depth_mae(const torch::Tensor& depth, const torch::Tensor& truth,
                 const torch::Tensor& where) {
    check_pair(depth, truth, 1, "depth");
    check_pair(where, truth, 1, "where");
    const auto errors =
        (depth.to(torch::kFloat64) - truth.to(torch::kFloat64)).abs().masked_select(where);
    return errors.numel() == 0 ? kNone : errors.mean().item<double>();
}

double normal_degrees(const torch::Tensor& normal, const torch::Tensor& truth,
                      const torch::Tensor& where) {
    check_pair(normal, truth, 3, "normal");
    const auto unit = [](const torch::Tensor& n) {
        const auto x = n.to(torch::kFloat64);
        return x / x.norm(2, 0, true).clamp_min(1e-12);
    };
    const auto a = unit(normal), b = unit(truth);
    // atan2 of the chord, exact near 0 and 180 degrees where acos of a dot product is not.
    const auto angle =
        2 * torch::atan2((a - b).norm(2, 0, true), (a + b).norm(2, 0, true)) * (180 / M_PI);
    const auto angles = angle.masked_select(where);
    return angles.numel() == 0 ? kNone : angles.mean().item<double>();
}

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
    return classes == 0 ? kNone : sum / static_cast<double>(classes);
}

MetricValues evaluate_frame(const Maps& rendered, const Frame& frame, Confusion* confusion) {
    const torch::NoGradGuard guard;  // measuring only
    MetricValues out;
    const auto* mask = true_map(frame, "mask");
    const auto* color = true_map(frame, "color");
    if (color && rendered.contains("color")) {
        out.emplace_back("psnr", psnr(rendered.at("color"), *color));
        out.emplace_back("ssim", mean_ssim(rendered.at("color"), *color));
        if (mask) out.emplace_back("psnr_person", psnr(rendered.at("color"), *color, *mask));
    }
    if (!rendered.contains("alpha")) return out;
    const auto& alpha = rendered.at("alpha");
    auto where = alpha > 0.5;
    if (mask) {
        out.emplace_back("mask_iou", mask_iou(alpha, *mask));
        where = where & (*mask > 0.5);
    }
    // Priors are no truth: geometry and labels are measured against exact maps alone.
    const auto *depth = frame.truth.find("depth"), *normal = frame.truth.find("normal"),
               *labels = frame.truth.find("semantic");
    if (depth && rendered.contains("depth")) {
        out.emplace_back("depth_mae", depth_mae(rendered.at("depth"), *depth,
                                                where & (*depth > 0) & depth->isfinite()));
    }
    if (normal && rendered.contains("normal")) {
        const auto valid = normal->square().sum(0, true) > 0.25;
        out.emplace_back("normal_deg",
                         normal_degrees(rendered.at("normal"), *normal, where & valid));
    }
    if (confusion && labels && rendered.contains("semantic"))
        confusion->add(rendered_labels(rendered.at("semantic"), alpha), *labels);
    return out;
}

MetricValues SplitMetrics::mean() const {
    MetricValues out;
    for (const auto& name : names_of(frames)) {
        double sum = 0;
        int64_t count = 0;
        for (const auto& [frame, values] : frames) {
            const double value = value_of(values, name);
            if (std::isnan(value)) continue;
            sum += value;
            ++count;
        }
        out.emplace_back(name, count ? sum / static_cast<double>(count) : kNone);
    }
    out.insert(out.end(), whole.begin(), whole.end());
    return out;
}

std::string SplitMetrics::csv() const {
    const auto names = names_of(frames);
    std::string out = "frame";
    for (const auto& name : names) (out += ',') += csv_field(name);
    for (const auto& [frame, values] : frames) {
        (out += '\n') += csv_field(frame);
        for (const auto& name : names) {
            const double value = value_of(values, name);
            out += std::isnan(value) ? "," : fmt::format(",{:.6g}", value);
        }
    }
    return out + "\n";
}

std::string metrics_json(const std::vector<std::pair<std::string, SplitMetrics>>& splits) {
    auto json = nlohmann::ordered_json::object();
    for (const auto& [split, metrics] : splits) {
        auto& row = json[split] = nlohmann::ordered_json::object();
        for (const auto& [name, value] : metrics.mean())
            row[name] = value;  // NaN is written as null
    }
    return json.dump(2) + "\n";
}

std::string metrics_table(const std::vector<std::pair<std::string, MetricValues>>& rows) {
    const auto names = names_of(rows);
    std::string out = "| |", line = "|---|";
    for (const auto& name : names) {
        out += " " + name + " |";
        line += "---|";
    }
    out += "\n" + line + "\n";
    for (const auto& [title, values] : rows) {
        out += "| " + title + " |";
        for (const auto& name : names) {
            const double value = value_of(values, name);
            out += std::isnan(value) ? " |" : fmt::format(" {:.4g} |", value);
        }
        out += "\n";
    }
    return out;
}

}  // namespace fmgs
