#include <fmgs/eval/colors.h>

#include <fmgs/core/check.h>
#include <fmgs/eval/metrics.h>

#include <array>

namespace fmgs {
namespace {

/// The Sapiens palette of the 28 body-part classes; background black instead of its dark grey.
constexpr std::array<std::array<int, 3>, 28> kPalette = {
    {{0, 0, 0},       {255, 218, 0}, {128, 200, 255}, {255, 0, 109},   {189, 0, 204},
     {255, 0, 218},   {0, 160, 204}, {0, 255, 145},   {204, 0, 131},   {182, 0, 255},
     {255, 109, 0},   {0, 255, 255}, {72, 0, 255},    {204, 131, 0},   {255, 0, 0},
     {72, 255, 0},    {189, 204, 0}, {182, 255, 0},   {102, 0, 204},   {32, 72, 204},
     {0, 145, 255},   {14, 204, 0},  {0, 128, 72},    {235, 205, 119}, {115, 227, 112},
     {157, 113, 143}, {132, 93, 50}, {82, 21, 114}}};

/// Far to near: dark blue, blue, cyan, green, yellow, orange, dark red.
constexpr std::array<std::array<double, 3>, 7> kRamp = {{{0.10, 0.07, 0.35},
                                                         {0.15, 0.35, 0.85},
                                                         {0.10, 0.70, 0.85},
                                                         {0.30, 0.85, 0.40},
                                                         {0.90, 0.85, 0.20},
                                                         {0.95, 0.50, 0.10},
                                                         {0.60, 0.08, 0.05}}};

void check_where(const torch::Tensor& where, const torch::Tensor& map) {
    check_shape(where, {1, map.size(1), map.size(2)}, "where");
}

/// Shares [H,W] in [0,1] of the way from the ramp's first colour to its last → [3,H,W].
torch::Tensor along_ramp(const torch::Tensor& share) {
    const auto at = share * (kRamp.size() - 1.0);
    const auto low = at.floor().clamp_max(kRamp.size() - 2.0);
    auto ramp = torch::empty({static_cast<int64_t>(kRamp.size()), 3});
    for (size_t i = 0; i < kRamp.size(); ++i) {
        for (size_t c = 0; c < 3; ++c)
            ramp[static_cast<int64_t>(i)][static_cast<int64_t>(c)] = kRamp[i][c];
    }
    const auto index = low.to(torch::kInt64);
    const auto rest = (at - low).unsqueeze(2);
    const auto color = ramp.index({index}) * (1 - rest) + ramp.index({index + 1}) * rest;
    return color.permute({2, 0, 1});
}

}  // namespace

torch::Tensor colorize(const std::string& name, const torch::Tensor& map,
                       const torch::Tensor& alpha) {
    const auto where = alpha > 0.5;
    const bool is_picture = map.dim() == 3 && (map.size(0) == 1 || map.size(0) == 3);
    if (name == "color" || name == "alpha" ||
        (is_picture && (name == "albedo" || name == "roughness" || name == "shading")))
        return map.to(torch::kCPU, torch::kFloat32).clamp(0, 1).expand({3, -1, -1});
    if (name == "depth") return colorize_depth(map, where);
    if (name == "normal" || name == "depth_normal")
        return colorize_normal(map, where & map.ne(0).any(0, true));
    if (name == "semantic")
        return colorize_labels(map.dim() == 2 ? map : rendered_labels(map, alpha));
    return colorize_feature(map, where);
}

torch::Tensor straight_alpha(const torch::Tensor& picture, const torch::Tensor& alpha) {
    const torch::NoGradGuard guard;  // pictures only
    check_shape(picture, {3, -1, -1}, "picture");
    check_shape(alpha, {1, picture.size(1), picture.size(2)}, "alpha");
    const auto share = alpha.to(torch::kCPU, torch::kFloat32).clamp(0, 1).mul(255).round().div(255);
    const auto color = picture.to(torch::kCPU, torch::kFloat32) / share;
    return torch::cat({color.masked_fill(share == 0, 0).clamp(0, 1), share});
}

torch::Tensor colorize_depth(const torch::Tensor& depth, const torch::Tensor& where, double near,
                             double far) {
    const torch::NoGradGuard guard;  // pictures only
    check_shape(depth, {1, -1, -1}, "depth");
    check_where(where, depth);
    const auto d = depth.to(torch::kCPU, torch::kFloat32);
    // 0: alpha is that of the far side, which has no depth
    const auto inside = where.to(torch::kCPU) & d.isfinite() & (d != 0);
    const auto seen = d.masked_select(inside);
    if (seen.numel() == 0) return torch::zeros({3, d.size(1), d.size(2)});
    if (near >= far) {
        near = seen.min().item<double>();
        far = seen.max().item<double>();
    }
    const auto nearness =
        torch::nan_to_num((far - d) / std::max(far - near, 1e-6), 0, 0, 0).clamp(0, 1);
    return along_ramp(nearness[0]) * inside;
}

torch::Tensor colorize_error(const torch::Tensor& error, double most) {
    check_shape(error, {-1, -1}, "error");
    return along_ramp(
        torch::nan_to_num(error.to(torch::kCPU, torch::kFloat32) / most, 1, 1, 0).clamp(0, 1));
}

torch::Tensor colorize_normal(const torch::Tensor& normal, const torch::Tensor& where) {
    const torch::NoGradGuard guard;  // pictures only
    check_shape(normal, {3, -1, -1}, "normal");
    check_where(where, normal);
    const auto n = torch::nan_to_num(normal.to(torch::kCPU, torch::kFloat32));
    const auto flip = torch::tensor({1.0F, -1.0F, -1.0F}).view({3, 1, 1});
    return ((n * flip + 1) / 2).clamp(0, 1) * where.to(torch::kCPU);
}

torch::Tensor colorize_labels(const torch::Tensor& labels) {
    check_shape(labels, {-1, -1}, "labels");
    auto palette = torch::empty({256, 3});
    for (int64_t i = 0; i < 256; ++i) {
        for (int64_t c = 0; c < 3; ++c) {
            const bool known = i < static_cast<int64_t>(kPalette.size());
            // Beyond the palette: three multiples that repeat late, never dark.
            const int64_t own = 64 + i * (c == 0 ? 97 : c == 1 ? 57 : 151) % 192;
            palette[i][c] =
                static_cast<double>(known ? kPalette[static_cast<size_t>(i)][static_cast<size_t>(c)]
                                          : own) /
                255;
        }
    }
    const auto index = labels.to(torch::kCPU, torch::kInt64).clamp(0, 255);
    return palette.index({index}).permute({2, 0, 1}).contiguous();
}

torch::Tensor colorize_feature(const torch::Tensor& feature, const torch::Tensor& where) {
    const torch::NoGradGuard guard;  // pictures only
    check_shape(feature, {-1, -1, -1}, "feature");
    check_where(where, feature);
    auto f = torch::nan_to_num(feature.to(torch::kCPU, torch::kFloat32)).slice(0, 0, 3);
    if (f.size(0) < 3) f = f.slice(0, 0, 1).expand({3, -1, -1});
    const auto inside = where.to(torch::kCPU);
    std::vector<torch::Tensor> channels;
    for (int64_t c = 0; c < 3; ++c) {
        const auto seen = f[c].masked_select(inside[0]);
        if (seen.numel() == 0) return torch::zeros_like(f);
        channels.push_back((f[c] - seen.min()) / (seen.max() - seen.min()).clamp_min(1e-12));
    }
    return torch::stack(channels).clamp(0, 1) * inside;
}

}  // namespace fmgs
