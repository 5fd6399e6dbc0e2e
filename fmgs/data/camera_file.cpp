#include <fmgs/data/camera_file.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmt/format.h>

#include <cmath>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

// [3,3] or [n,3,3] → [n,3,3] double, finite.
torch::Tensor matrices(const NpzReader& npz, const std::string& key, int64_t size) {
    const auto shape = npz.header(key).shape;  // before anything is unpacked
    const size_t n = shape.size();
    if ((n != 2 && n != 3) || shape[0] == 0 || shape[n - 2] != size || shape[n - 1] != size) {
        throw Error(fmt::format("{}: {}: expected ({},{}) or (frames,{},{}), got {}", npz.name(),
                                key, size, size, size, size, shape_text(shape)));
    }
    auto x = npz.tensor(key).to(torch::kDouble);
    if (!x.isfinite().all().item<bool>())
        throw Error(fmt::format("{}: {}: holds NaN or infinity", npz.name(), key));
    return x.dim() == 2 ? x.unsqueeze(0) : x;
}

double number(const NpzReader& npz, const std::string& key, double otherwise) {
    if (!npz.contains(key)) return otherwise;
    const auto shape = npz.header(key).shape;
    if (c10::multiply_integers(shape) != 1)
        throw Error(
            fmt::format("{}: {}: expected one number, got {}", npz.name(), key, shape_text(shape)));
    return npz.tensor(key).to(torch::kDouble).item<double>();
}

// Pixels; 0 where the file does not say.
int64_t pixels(const NpzReader& npz, const std::string& key) {
    constexpr double kMost = 1 << 20;
    if (!npz.contains(key)) return 0;
    const double value = number(npz, key, 0);
    if (!(value >= 1 && value <= kMost && value == std::floor(value)))
        throw Error(fmt::format("{}: {}: expected a whole number of pixels from 1 to {}, got {}",
                                npz.name(), key, kMost, value));
    return static_cast<int64_t>(value);
}

// A transposed matrix, or one with a scale in it, shows here.
void check_last_row(const torch::Tensor& matrix, const std::string& what) {
    auto expected = torch::zeros({matrix.size(2)}, torch::kDouble);
    expected[-1] = 1;
    const auto wrong = ((matrix.select(1, -1) - expected).abs() > 1e-6).any(1).nonzero();
    if (wrong.size(0) == 0) return;
    const auto i = wrong[0].item<int64_t>();
    std::string row;
    for (int64_t k = 0; k < matrix.size(2); ++k)
        row += fmt::format("{}{:g}", k ? "," : "", matrix[i][-1][k].item<double>());
    throw Error(fmt::format(
        "{}: expected the last row of each matrix to be {}, got {} in matrix {}; is it transposed "
        "or scaled?",
        what, matrix.size(2) == 3 ? "0,0,1" : "0,0,0,1", row, i));
}

void check_matrices(const CameraFile& file) {
    const auto focal = file.intrinsic.diagonal(0, 1, 2).slice(1, 0, 2);
    const auto skew = torch::stack(
        {file.intrinsic.select(1, 0).select(1, 1), file.intrinsic.select(1, 1).select(1, 0)});
    if ((focal <= 0).any().item<bool>() || (skew.abs() > 1e-6).any().item<bool>()) {
        throw Error(fmt::format("{}: intrinsic: expected positive focal lengths and no skew",
                                file.file.string()));
    }
    const auto R = file.extrinsic.slice(1, 0, 3).slice(2, 0, 3);
    const auto gram = torch::matmul(R, R.transpose(1, 2)) - torch::eye(3, torch::kDouble);
    if (gram.abs().max().item<double>() > 1e-3 || (torch::det(R) < 0).any().item<bool>()) {
        throw Error(fmt::format(
            "{}: extrinsic: expected rotations and translations, world to camera; a scale or a "
            "mirror is in it",
            file.file.string()));
    }
}

torch::Tensor read_distortion(const NpzReader& npz) {
    const std::string key = npz.contains("dist") ? "dist" : "distortion";
    if (!npz.contains(key)) return {};
    const auto shape = npz.header(key).shape;
    if (shape.empty() || shape.size() > 2 || shape.back() > 14)
        throw Error(
            fmt::format("{}: {}: expected (n,) or (rows,n) with 4 to 14 numbers in OpenCV's "
                        "order, got {}",
                        npz.name(), key, shape_text(shape)));
    auto x = npz.tensor(key).to(torch::kDouble);
    if (!x.isfinite().all().item<bool>())
        throw Error(fmt::format("{}: {}: holds NaN or infinity", npz.name(), key));
    if (x.count_nonzero().item<int64_t>() == 0) return {};
    check_distortion(x, fmt::format("{}: {}", npz.name(), key));
    return x.dim() == 1 ? x.unsqueeze(0) : x;
}

bool fits(const torch::Tensor& x, int64_t count) {
    return !x.defined() || x.size(0) == 1 || x.size(0) == count;
}

}  // namespace

CameraFile read_camera_file(const fs::path& file) {
    const std::string what = file.string();
    const NpzReader npz(file);
    CameraFile out;
    out.file = file;
    out.intrinsic = matrices(npz, "intrinsic", 3).clone();
    out.extrinsic = npz.contains("extrinsic") ? matrices(npz, "extrinsic", 4)
                                              : torch::eye(4, torch::kDouble).unsqueeze(0);
    check_last_row(out.intrinsic, what + ": intrinsic");
    check_last_row(out.extrinsic, what + ": extrinsic");
    const double center = number(npz, "pixel_center", 0.5);
    if (center != 0 && center != 0.5)
        throw Error(fmt::format("{}: pixel_center: expected 0 or 0.5, got {}", what, center));
    out.says_center = npz.contains("pixel_center");
    out.intrinsic.slice(1, 0, 2).select(2, 2).add_(0.5 - center);
    out.width = pixels(npz, "width");
    out.height = pixels(npz, "height");
    out.distortion = read_distortion(npz);
    if (npz.contains("camera_names")) out.names = npz.strings("camera_names");
    check_matrices(out);
    return out;
}

bool CameraFile::has_rows(int64_t count) const {
    return fits(intrinsic, count) && fits(extrinsic, count) && fits(distortion, count);
}

SourceCamera CameraFile::camera(int64_t i, int64_t count) const {
    const auto row = [&](const torch::Tensor& x, const char* key) {
        if (!fits(x, count)) {
            throw Error(fmt::format("{}: {}: expected 1 or {} matrices, one per {}, got {}",
                                    file.string(), key, count, names.empty() ? "frame" : "camera",
                                    x.size(0)));
        }
        return x.defined() ? x[x.size(0) == 1 ? 0 : i] : x;
    };
    return {row(intrinsic, "intrinsic"), row(extrinsic, "extrinsic"), row(distortion, "dist"),
            width, height};
}

}  // namespace fmgs
