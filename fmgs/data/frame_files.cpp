#include <fmgs/data/frame_files.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/picture_header.h>
#include <fmt/format.h>
#include <torch/nn/functional/upsampling.h>

#include <algorithm>
#include <cmath>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

// Cameras and scanners write upper case.
constexpr const char* kPictures[] = {".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG"};

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

void check_size(MapSize got, int64_t height, int64_t width, const fs::path& file) {
    if (got.height != height || got.width != width) {
        throw Error(fmt::format(
            "{}: expected {}x{} pixels (width x height) like its picture and cameras.npz, got "
            "{}x{}",
            file.string(), width, height, got.width, got.height));
    }
}

// read(file), of this size: its header is looked at before anything is decoded, and what came out
// afterwards (a picture may say that it is to be turned).
template <class Read>
torch::Tensor read_sized(const fs::path& file, int64_t height, int64_t width, Read&& read) {
    check_size(stored_size(file), height, width, file);
    const torch::Tensor x = read(file);
    check_size({x.size(-2), x.size(-1)}, height, width, file);
    return x;
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

void check_matrices(const CameraFile& file, const std::string& what) {
    const auto focal = file.intrinsic.diagonal(0, 1, 2).slice(1, 0, 2);
    const auto skew = torch::stack(
        {file.intrinsic.select(1, 0).select(1, 1), file.intrinsic.select(1, 1).select(1, 0)});
    if ((focal <= 0).any().item<bool>() || (skew.abs() > 1e-6).any().item<bool>()) {
        throw Error(
            fmt::format("{}: intrinsic: expected positive focal lengths and no skew", what));
    }
    const auto R = file.extrinsic.slice(1, 0, 3).slice(2, 0, 3);
    const auto gram = torch::matmul(R, R.transpose(1, 2)) - torch::eye(3, torch::kDouble);
    if (gram.abs().max().item<double>() > 1e-3 || (torch::det(R) < 0).any().item<bool>()) {
        throw Error(fmt::format(
            "{}: extrinsic: expected rotations and translations, world to camera; a scale or a "
            "mirror is in it",
            what));
    }
}

fs::path find_mask(const fs::path& folder, const std::string& name) {
    const fs::path masks = folder / "masks";
    if (name.starts_with("image_")) {
        const auto file = find_picture(masks, "mask_" + name.substr(6));
        const auto other = find_picture(masks, name);
        if (!is_there(file) && !is_there(other))
            throw Error(fmt::format("{}: there is no such file, nor {}", file.string(),
                                    other.filename().string()));
        return is_there(file) ? file : other;
    }
    return find_picture(masks, name);
}

// Sapiens writes the person as <name>.npy and the labels as <name>_seg.npy into the same folder.
fs::path find_labels(const fs::path& folder, const std::string& name) {
    const fs::path labels = folder / (name + "_seg.npy");
    return is_there(labels) ? labels : find_picture(folder, name);
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
        const auto normal = read_sized(file, height, width, [&](const fs::path& path) {
            return read_normal(path, reading.format);
        });
        frame.maps.set("normal", shrink_normals(normal * mask, n, /*whole=*/false));
    }
    if (!reading.depth.empty()) {
        const auto file = find_picture(reading.depth, frame.name);
        const auto depth = read_sized(file, height, width, [&](const fs::path& path) {
            return read_relative_depth(path, reading.format, mask);
        });
        frame.maps.set("depth", shrink_valid(depth, depth > 0, n, /*whole=*/false));
    }
    if (!reading.semantic.empty()) {
        const auto file = find_labels(reading.semantic, frame.name);
        frame.maps.set("semantic", shrink_nearest(read_sized(file, height, width, read_labels), n));
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
        return is_there(file);
    };
    fs::path file;
    if (there("depth", file)) {
        const auto millimetres = read_sized(file, height, width, read_gray);
        const auto depth = millimetres.to(torch::kFloat).div_(1000).unsqueeze(0);
        frame.truth.set("depth", shrink_valid(depth, depth > 0, n, /*whole=*/true));
    }
    if (there("normal", file)) {
        const auto normal = read_sized(file, height, width, [](const fs::path& path) {
            return read_normal(path, PriorFormat());
        });
        frame.truth.set("normal", shrink_normals(normal, n, /*whole=*/true));
    }
    if (there("label", file))
        frame.truth.set("semantic",
                        shrink_nearest(read_sized(file, height, width, read_labels), n));
}

// The camera's size, which is that of the picture where cameras.npz has none.
void fill_size(const fs::path& folder, int64_t downscale, Frame& frame) {
    Camera& camera = frame.camera;
    if (camera.width == 0 || camera.height == 0) {
        const auto size = stored_size(find_picture(folder / "images", frame.name));
        if (camera.width == 0) camera.width = size.width;
        if (camera.height == 0) camera.height = size.height;
    }
    const int64_t most = std::min(camera.width, camera.height);
    if (downscale < 1 || downscale > most)
        throw Error(fmt::format("data.downscale: expected a whole number from 1 to {}, got {}",
                                most, downscale));
}

void divide(Camera& camera, int64_t n) {
    camera.intrinsics = camera.intrinsics / static_cast<double>(n);  // centres at 0.5: no shift
    camera.width /= n;
    camera.height /= n;
}

}  // namespace

CameraFile read_camera_file(const fs::path& file) {
    const std::string what = file.string();
    const NpzReader npz(file);
    CameraFile out;
    out.intrinsic = matrices(npz, "intrinsic", 3).clone();
    out.extrinsic = npz.contains("extrinsic") ? matrices(npz, "extrinsic", 4)
                                              : torch::eye(4, torch::kDouble).unsqueeze(0);
    check_last_row(out.intrinsic, what + ": intrinsic");
    check_last_row(out.extrinsic, what + ": extrinsic");
    const double center = number(npz, "pixel_center", 0.5);
    if (center != 0 && center != 0.5)
        throw Error(fmt::format("{}: pixel_center: expected 0 or 0.5, got {}", what, center));
    out.intrinsic.slice(1, 0, 2).select(2, 2).add_(0.5 - center);
    out.width = pixels(npz, "width");
    out.height = pixels(npz, "height");
    for (const char* key : {"dist", "distortion"}) {
        if (npz.contains(key) && npz.tensor(key).count_nonzero().item<int64_t>() > 0) {
            throw Error(fmt::format(
                "{}: {}: expected pictures without lens distortion; undistort them and write zeros "
                "here",
                what, key));
        }
    }
    check_matrices(out, what);
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

bool is_picture(const fs::path& file) {
    const auto extension = file.extension();
    return std::find(std::begin(kPictures), std::end(kPictures), extension) != std::end(kPictures);
}

fs::path find_picture(const fs::path& folder, const std::string& stem) {
    for (const char* extension : kPictures) {
        const fs::path file = folder / (stem + extension);
        if (is_there(file)) return file;
    }
    if (const fs::path file = folder / (stem + ".npy"); is_there(file)) return file;
    return folder / (stem + ".png");
}

bool natural_less(const std::string& a, const std::string& b) {
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    size_t i = 0, k = 0;
    while (i < a.size() && k < b.size()) {
        if (!digit(a[i]) || !digit(b[k])) {
            if (a[i] != b[k]) return a[i] < b[k];
            ++i;
            ++k;
            continue;
        }
        // A number with more digits, leading zeros aside, is larger.
        const auto next = [&](const std::string& text, size_t& at) {
            while (at < text.size() && text[at] == '0') ++at;
            const size_t begin = at;
            while (at < text.size() && digit(text[at])) ++at;
            return text.substr(begin, at - begin);
        };
        const auto x = next(a, i), y = next(b, k);
        if (x != y) return x.size() != y.size() ? x.size() < y.size() : x < y;
    }
    const size_t left_a = a.size() - i, left_b = b.size() - k;
    return left_a != left_b ? left_a < left_b : a < b;  // "01" and "1" are two names
}

MapSize stored_size(const fs::path& file) {
    if (file.extension() != ".npy") {
        const auto header = read_picture_header(file);
        return {header.height, header.width};
    }
    auto shape = read_npy_header(file).shape;
    if (shape.size() == 4 && shape[0] == 1) shape.erase(shape.begin());
    if (shape.size() == 3) {
        const bool first = shape[0] == 1 || shape[0] == 3;
        if (first || shape[2] == 1 || shape[2] == 3)
            shape.erase(first ? shape.begin() : shape.end() - 1);
    }
    if (shape.size() == 2) return {shape[0], shape[1]};
    throw Error(fmt::format("{}: expected (H,W), or (H,W,3) or (3,H,W) for normals, got {}",
                            file.string(), shape_text(read_npy_header(file).shape)));
}

double frame_bytes(const fs::path& folder, const FrameReading& reading, const Frame& frame) {
    Frame sized = frame;
    shrink_camera(folder, reading.downscale, sized);
    double bytes = 12 + 4;  // of a pixel: colour and mask
    if (!reading.normal.empty()) bytes += 12;
    if (!reading.depth.empty()) bytes += 4;
    if (!reading.semantic.empty()) bytes += 8;
    for (const auto& [name, features] : reading.features) {
        const auto shape = read_npy_header(features / (frame.name + ".npy")).shape;
        bytes += 4 * static_cast<double>(shape.size() < 3 ? 1 : shape[shape.size() - 3]);
    }
    if (reading.truth && is_there(folder / "gt")) bytes += 4 + 12 + 8;
    return bytes * static_cast<double>(sized.camera.width) *
           static_cast<double>(sized.camera.height);
}

void shrink_camera(const fs::path& folder, int64_t downscale, Frame& frame) {
    fill_size(folder, downscale, frame);
    divide(frame.camera, downscale);
}

void read_frame_files(const fs::path& folder, const FrameReading& reading, Frame& frame) {
    const int64_t n = reading.downscale;
    fill_size(folder, n, frame);
    const int64_t height = frame.camera.height, width = frame.camera.width;
    const auto color =
        read_sized(find_picture(folder / "images", frame.name), height, width, read_color);
    const auto mask = read_sized(find_mask(folder, frame.name), height, width, read_mask);
    frame.maps.set("color", shrink_area(color * mask, n));
    frame.maps.set("mask", shrink_area(mask, n));
    read_priors(reading, mask, frame);
    frame.truth.set("color", frame.maps.at("color"));
    frame.truth.set("mask", frame.maps.at("mask"));
    if (reading.truth) read_truth(folder, n, mask, frame);
    divide(frame.camera, n);
}

}  // namespace fmgs
