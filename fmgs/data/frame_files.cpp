#include <fmgs/data/frame_files.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/data/image_io.h>
#include <fmt/format.h>
#include <torch/nn/functional/upsampling.h>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

// [3,3] or [n,3,3] → [n,3,3] double, finite.
torch::Tensor matrices(const NpzFile& npz, const std::string& key, int64_t size,
                       const std::string& what) {
    auto x = npz_tensor(npz, key, what).to(torch::kDouble);
    if (x.dim() == 2) x = x.unsqueeze(0);
    if (x.dim() != 3 || x.size(0) == 0 || x.size(1) != size || x.size(2) != size) {
        throw Error(fmt::format("{}: {}: expected ({},{}) or (frames,{},{}), got {}", what, key,
                                size, size, size, size, shape_text(x.sizes())));
    }
    if (!x.isfinite().all().item<bool>())
        throw Error(fmt::format("{}: {}: holds NaN or infinity", what, key));
    return x;
}

double number(const NpzFile& npz, const std::string& key, double otherwise,
              const std::string& what) {
    if (!npz.contains(key)) return otherwise;
    const auto x = npz_tensor(npz, key, what);
    if (x.numel() != 1)
        throw Error(
            fmt::format("{}: {}: expected one number, got {}", what, key, shape_text(x.sizes())));
    return x.to(torch::kDouble).item<double>();
}

void check_size(const torch::Tensor& x, int64_t height, int64_t width, const fs::path& file) {
    if (x.size(-2) != height || x.size(-1) != width) {
        throw Error(fmt::format(
            "{}: expected {}x{} pixels (width x height) like its picture and cameras.npz, got "
            "{}x{}",
            file.string(), width, height, x.size(-1), x.size(-2)));
    }
}

fs::path find_mask(const fs::path& folder, const std::string& name) {
    const fs::path masks = folder / "masks";
    if (name.starts_with("image_")) {
        const auto file = find_picture(masks, "mask_" + name.substr(6));
        if (fs::exists(file) || !fs::exists(find_picture(masks, name))) return file;
    }
    return find_picture(masks, name);
}

// Sapiens writes the person as <name>.npy and the labels as <name>_seg.npy into the same folder.
fs::path find_labels(const fs::path& folder, const std::string& name) {
    const fs::path labels = folder / (name + "_seg.npy");
    return fs::exists(labels) ? labels : find_picture(folder, name);
}

torch::Tensor shrink_feature(const torch::Tensor& x, int64_t height, int64_t width, int64_t n) {
    if (x.size(1) / n == height && x.size(2) / n == width && x.size(1) >= n && x.size(2) >= n)
        return shrink_area(x, n);
    // Networks answer on their own grid; their features are smooth.
    namespace F = torch::nn::functional;
    const auto options = F::InterpolateFuncOptions()
                             .size(std::vector<int64_t>{height, width})
                             .mode(torch::kBilinear)
                             .align_corners(false);
    return F::interpolate(x.unsqueeze(0), options).squeeze(0);
}

void read_priors(const FrameReading& reading, const torch::Tensor& mask, Frame& frame) {
    const int64_t n = reading.downscale, height = mask.size(1), width = mask.size(2);
    if (!reading.normal.empty()) {
        const auto file = find_picture(reading.normal, frame.name);
        const auto normal = read_normal(file, reading.format);
        check_size(normal, height, width, file);
        frame.maps.set("normal", shrink_normals(normal * mask, n, /*whole=*/false));
    }
    if (!reading.depth.empty()) {
        const auto file = find_picture(reading.depth, frame.name);
        const auto depth = read_relative_depth(file, reading.format, mask);
        check_size(depth, height, width, file);
        frame.maps.set("depth", shrink_valid(depth, depth > 0, n, /*whole=*/false));
    }
    if (!reading.semantic.empty()) {
        const auto file = find_labels(reading.semantic, frame.name);
        const auto labels = read_labels(file);
        check_size(labels, height, width, file);
        frame.maps.set("semantic", shrink_nearest(labels, n));
    }
    for (const auto& [name, folder] : reading.features) {
        const auto feature = read_feature(folder / (frame.name + ".npy"));
        frame.maps.set(name, shrink_feature(feature, height / n, width / n, n));
    }
}

void read_truth(const fs::path& folder, int64_t n, const torch::Tensor& mask, Frame& frame) {
    const int64_t height = mask.size(1), width = mask.size(2);
    const auto there = [&](const char* kind, fs::path& file) {
        file = find_picture(folder / "gt" / kind, frame.name);
        return fs::exists(file);
    };
    fs::path file;
    if (there("depth", file)) {
        // millimetres
        const auto depth = read_gray(file).to(torch::kFloat).div_(1000).unsqueeze(0);
        check_size(depth, height, width, file);
        frame.truth.set("depth", shrink_valid(depth, depth > 0, n, /*whole=*/true));
    }
    if (there("normal", file)) {
        const auto normal = read_normal(file, PriorFormat());
        check_size(normal, height, width, file);
        frame.truth.set("normal", shrink_normals(normal, n, /*whole=*/true));
    }
    if (there("label", file)) {
        const auto labels = read_labels(file);
        check_size(labels, height, width, file);
        frame.truth.set("semantic", shrink_nearest(labels, n));
    }
}

}  // namespace

CameraFile read_camera_file(const fs::path& file) {
    const std::string what = file.string();
    const NpzFile npz = read_npz(file);
    CameraFile out;
    out.intrinsic = matrices(npz, "intrinsic", 3, what).clone();
    out.extrinsic = npz.contains("extrinsic") ? matrices(npz, "extrinsic", 4, what)
                                              : torch::eye(4, torch::kDouble).unsqueeze(0);
    const double center = number(npz, "pixel_center", 0.5, what);
    if (center != 0 && center != 0.5)
        throw Error(fmt::format("{}: pixel_center: expected 0 or 0.5, got {}", what, center));
    out.intrinsic.slice(1, 0, 2).select(2, 2).add_(0.5 - center);
    out.width = static_cast<int64_t>(number(npz, "width", 0, what));
    out.height = static_cast<int64_t>(number(npz, "height", 0, what));
    for (const char* key : {"dist", "distortion"}) {
        if (npz.contains(key) && npz_tensor(npz, key, what).count_nonzero().item<int64_t>() > 0) {
            throw Error(fmt::format(
                "{}: {}: expected pictures without lens distortion; undistort them and write zeros "
                "here",
                what, key));
        }
    }
    const auto focal = out.intrinsic.diagonal(0, 1, 2).slice(1, 0, 2);
    const auto skew = out.intrinsic.select(1, 0).select(1, 1);
    if ((focal <= 0).any().item<bool>() || (skew.abs() > 1e-6).any().item<bool>()) {
        throw Error(
            fmt::format("{}: intrinsic: expected positive focal lengths and no skew", what));
    }
    const auto R = out.extrinsic.slice(1, 0, 3).slice(2, 0, 3);
    const auto gram = torch::matmul(R, R.transpose(1, 2)) - torch::eye(3, torch::kDouble);
    if (gram.abs().max().item<double>() > 1e-3 || (torch::det(R) < 0).any().item<bool>()) {
        throw Error(fmt::format(
            "{}: extrinsic: expected rotations and translations, world to camera; a scale or a "
            "mirror is in it",
            what));
    }
    return out;
}

Camera CameraFile::camera(int64_t i, int64_t count, const fs::path& file) const {
    const auto row = [&](const torch::Tensor& x, const char* key) {
        if (x.size(0) != 1 && x.size(0) != count) {
            throw Error(fmt::format("{}: {}: expected 1 or {} matrices, one per frame, got {}",
                                    file.string(), key, count, x.size(0)));
        }
        return x[x.size(0) == 1 ? 0 : i];
    };
    const auto K = row(intrinsic, "intrinsic"), E = row(extrinsic, "extrinsic");
    Camera out;
    out.rotation = E.slice(0, 0, 3).slice(1, 0, 3).to(torch::kFloat).contiguous();
    out.translation = E.slice(0, 0, 3).select(1, 3).to(torch::kFloat).contiguous();
    out.intrinsics = torch::stack({K[0][0], K[1][1], K[0][2], K[1][2]}).to(torch::kFloat);
    out.width = width;
    out.height = height;
    return out;
}

fs::path find_picture(const fs::path& folder, const std::string& stem) {
    for (const char* extension : {".png", ".jpg", ".jpeg", ".npy"}) {
        const fs::path file = folder / (stem + extension);
        if (fs::exists(file)) return file;
    }
    return folder / (stem + ".png");
}

void read_frame_files(const fs::path& folder, const FrameReading& reading, Frame& frame) {
    const fs::path file = find_picture(folder / "images", frame.name);
    const auto color = read_color(file);
    Camera& camera = frame.camera;
    if (camera.width == 0) camera.width = color.size(2);
    if (camera.height == 0) camera.height = color.size(1);
    check_size(color, camera.height, camera.width, file);
    const int64_t n = reading.downscale;
    if (n < 1 || n > std::min(camera.width, camera.height)) {
        throw Error(fmt::format("data.downscale: expected a whole number from 1 to {}, got {}",
                                std::min(camera.width, camera.height), n));
    }
    const fs::path mask_file = find_mask(folder, frame.name);
    const auto mask = read_mask(mask_file);
    check_size(mask, camera.height, camera.width, mask_file);

    frame.maps.set("color", shrink_area(color * mask, n));
    frame.maps.set("mask", shrink_area(mask, n));
    read_priors(reading, mask, frame);
    frame.truth.set("color", frame.maps.at("color"));
    frame.truth.set("mask", frame.maps.at("mask"));
    read_truth(folder, n, mask, frame);

    camera.intrinsics = camera.intrinsics / static_cast<double>(n);  // centres at 0.5: no shift
    camera.width /= n;
    camera.height /= n;
}

}  // namespace fmgs
