// Writes splat files.
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/splat_file.h>
#include <fmgs/core/quaternion.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <cmath>

namespace fmgs {

using torch::Tensor;

namespace {

// Unit vectors across unit a [N,3].
Tensor any_across(const Tensor& a) {
    const auto smallest = a.abs().argmin(1, /*keepdim=*/true);
    return torch::linalg_cross(a, torch::zeros_like(a).scatter_(1, smallest, 1));
}

Tensor unit(const Tensor& x) { return x / x.norm(2, 1, true).clamp_min(1e-300); }

}  // namespace

EllipseFrames ellipse_frames(const Tensor& tangents) {
    check_shape(tangents, {-1, 3, 2}, "tangents");
    const auto T = tangents.to(torch::kCPU, torch::kDouble);
    const auto a = T.select(2, 0), b = T.select(2, 1);
    // The rotation of (u, v) by φ that makes a' = a cos φ + b sin φ the longest of all.
    const auto aa = (a * a).sum(1, true), bb = (b * b).sum(1, true), ab = (a * b).sum(1, true);
    const auto angle = torch::atan2(2 * ab, aa - bb) / 2;
    const auto major = a * angle.cos() + b * angle.sin();
    const auto minor = b * angle.cos() - a * angle.sin();
    const auto t_u = torch::where(major.norm(2, 1, true) > 0, unit(major),
                                  torch::tensor({1.0, 0.0, 0.0}, T.options()));
    const auto level = minor - t_u * (t_u * minor).sum(1, true);
    const auto t_v = torch::where(level.norm(2, 1, true) > 1e-9 * major.norm(2, 1, true),
                                  unit(level), unit(any_across(t_u)));
    EllipseFrames out;
    out.rotation = torch::stack({t_u, t_v, torch::linalg_cross(t_u, t_v)}, 2);
    out.quaternion = quaternion_of(out.rotation);
    out.scale = torch::cat({major.norm(2, 1, true), minor.norm(2, 1, true)}, 1);
    return out;
}

void write_splats(const std::filesystem::path& file, const PosedSurfels& surfels,
                  const SplatFileOptions& options) {
    const int64_t n = surfels.center.size(0);
    const auto* color = surfels.features.find("color");
    if (!color) throw Error(fmt::format("{}: the surfels have no feature 'color'", file.string()));
    check_shape(surfels.center, {n, 3}, "center");
    check_shape(surfels.normal, {n, 3}, "normal");
    check_shape(surfels.opacity, {n, 1}, "opacity");
    check_shape(*color, {n, 3}, "color");
    const auto values = [](const Tensor& x) { return x.to(torch::kCPU, torch::kDouble); };
    const auto frames = ellipse_frames(surfels.tangents);
    constexpr double kLeast = 1e-10;  // of what has a logarithm
    std::vector<Tensor> columns{values(surfels.center), values(surfels.normal),
                                (values(*color) - 0.5) / kHarmonicsConstant,
                                values(surfels.opacity).clamp(kLeast, 1 - 1e-7).logit(),
                                frames.scale.clamp_min(kLeast).log()};
    std::string names = "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1";
    if (options.third_scale) {
        columns.push_back(torch::full({n, 1}, std::log(1e-6), torch::kDouble));
        names += " scale_2";
    }
    columns.push_back(frames.quaternion);
    names += " rot_0 rot_1 rot_2 rot_3 ";
    const auto rows = torch::cat(columns, 1).to(torch::kFloat).contiguous();
    if (!rows.isfinite().all().item<bool>())
        throw Error(fmt::format("{}: not written: surfels are not finite", file.string()));
    std::string header = "ply\nformat binary_little_endian 1.0\n";
    if (options.comment) header += "comment SplatRenderMode: 2dgs\n";
    header += fmt::format("element vertex {}\n", n);
    for (size_t at = 0; at < names.size(); at = names.find(' ', at) + 1)
        header += fmt::format("property float {}\n", names.substr(at, names.find(' ', at) - at));
    header += "end_header\n";
    write_whole(file, {header, {static_cast<const char*>(rows.const_data_ptr()), rows.nbytes()}});
}

}  // namespace fmgs
