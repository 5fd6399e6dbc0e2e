#include <fmgs/data/frame_files.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmgs/core/vector_map.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/hdf5_file.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/mask_folder.h>
#include <fmgs/data/video_reader.h>
#include <fmt/format.h>
#include <torch/nn/functional/upsampling.h>

#include <algorithm>

namespace fmgs {

namespace fs = std::filesystem;

class FrameDecoders {
  public:
    Undistortions lenses;

    VideoReader& video(const fs::path& file) { return one_of(videos_, file); }
    Hdf5File& masks(const fs::path& file) { return one_of(masks_, file); }

  private:
    template <class T>
    T& one_of(std::map<fs::path, std::unique_ptr<T>>& all, const fs::path& file) {
        const std::lock_guard lock(mutex_);
        auto& one = all[file];
        if (!one) one = std::make_unique<T>(file);
        return *one;
    }
    std::mutex mutex_;
    std::map<fs::path, std::unique_ptr<VideoReader>> videos_;
    std::map<fs::path, std::unique_ptr<Hdf5File>> masks_;
};

std::shared_ptr<FrameDecoders> make_decoders() { return std::make_shared<FrameDecoders>(); }

namespace {

void check_size(MapSize got, int64_t height, int64_t width, const fs::path& file) {
    if (got.height != height || got.width != width) {
        throw Error(
            fmt::format("{}: expected {}x{} pixels (width x height) like its picture and "
                        "its camera, got {}x{}",
                        file.string(), width, height, got.width, got.height));
    }
}

// read(file), of this size: its header is looked at before anything is decoded.
template <class Read>
torch::Tensor read_sized(const fs::path& file, int64_t height, int64_t width, Read&& read,
                         const std::string& array = {}) {
    check_size(stored_size(file, array), height, width, file);
    return read(file);
}

bool is_hdf5(const fs::path& file) {
    return file.extension() == ".hdf5" || file.extension() == ".h5";
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

// One frame on its way: the stored size, and the lens whose distortion is taken out.
struct Reader {
    const FrameSource& source;
    const FrameReading& reading;
    int64_t height, width;
    std::shared_ptr<const Undistortion> lens;  // null: none

    torch::Tensor linear(const torch::Tensor& x) const { return lens ? lens->linear(x) : x; }
    torch::Tensor nearest(const torch::Tensor& x) const { return lens ? lens->nearest(x) : x; }
    torch::Tensor valid(const torch::Tensor& x, const torch::Tensor& valid) const {
        return lens ? lens->valid(x, valid) : x;
    }

    torch::Tensor color() const;
    torch::Tensor stored_mask() const;
    torch::Tensor normal(const fs::path& file, const PriorFormat& format) const {
        const auto x = read_sized(
            file, height, width, [&](const fs::path& path) { return read_normal(path, format); },
            format.normal_array);
        if (!lens) return x;
        const auto even = valid(x, (x != 0).any(0, true));
        return even / lengths(even).clamp_min(1e-12);  // means of unit vectors are shorter
    }
    void priors(const torch::Tensor& stored_mask, const torch::Tensor& mask, Frame& frame) const;
    void truth(Frame& frame) const;
};

torch::Tensor Reader::color() const {
    if (source.video_frame < 0) return read_sized(source.picture, height, width, read_color);
    const auto color = reading.decoders->video(source.picture).read(source.video_frame);
    check_size({color.size(1), color.size(2)}, height, width, source.picture);
    return color;
}

torch::Tensor Reader::stored_mask() const {
    const auto& mask = source.mask;
    if (mask.says == MaskSource::Says::alpha)
        return read_sized(source.picture, height, width, read_alpha);
    if (mask.says == MaskSource::Says::everything) return torch::ones({1, height, width});
    torch::Tensor person;
    for (const auto& file : mask.files) {
        torch::Tensor x;
        if (is_hdf5(file)) {
            x = reading.decoders->masks(file).row("masks", mask.row);
            check_size({x.size(-2), x.size(-1)}, height, width, file);
            x = (x != 0).to(torch::kFloat).reshape({1, height, width});
        } else {
            x = read_sized(file, height, width, read_mask);
        }
        person = person.defined() ? torch::max(person, x) : x;
    }
    return mask.says == MaskSource::Says::background ? 1 - person : person;
}

void Reader::priors(const torch::Tensor& stored, const torch::Tensor& mask, Frame& frame) const {
    const int64_t n = reading.downscale;
    if (!reading.normal.empty()) {
        const auto map = normal(find_picture(reading.normal, source.name), reading.format);
        frame.maps.set("normal", shrink_normals(map * mask, n, /*whole=*/false));
    }
    if (!reading.depth.empty()) {
        const auto file = find_picture(reading.depth, source.name);
        const auto raw = read_sized(
            file, height, width,
            [&](const fs::path& path) { return read_relative_depth(path, reading.format, stored); },
            reading.format.depth_array);
        const auto depth = valid(raw, raw > 0);
        frame.maps.set("depth", shrink_valid(depth, depth > 0, n, /*whole=*/false));
    }
    if (!reading.semantic.empty()) {
        const auto classes = read_sized(
            find_labels(reading.semantic, source.name), height, width,
            [&](const fs::path& path) { return read_classes(path, reading.format); },
            reading.format.seg_array);
        frame.maps.set("semantic", shrink_nearest(nearest(classes), n));
    }
    for (const auto& [name, folder] : reading.features) {
        auto feature = read_feature(folder / (source.name + ".npy"));
        // One on a network's own grid covers the same field of view: distortion is undone there.
        if (source.camera.distortion.defined()) {
            auto scaled = source.camera;
            const double sx = static_cast<double>(feature.size(2)) / static_cast<double>(width);
            const double sy = static_cast<double>(feature.size(1)) / static_cast<double>(height);
            scaled.intrinsic = torch::matmul(
                torch::diag(torch::tensor({sx, sy, 1.0}, torch::kDouble)), source.camera.intrinsic);
            feature = reading.decoders->lenses.of(scaled, feature.size(1), feature.size(2))
                          ->linear(feature);
        }
        frame.maps.set(name, shrink_feature(feature, height / n, width / n, n));
    }
}

void Reader::truth(Frame& frame) const {
    const int64_t n = reading.downscale;
    const auto there = [&](const char* kind, fs::path& file) {
        file = find_picture(source.folder / "gt" / kind, source.name);
        return is_there(file);
    };
    fs::path file;
    if (there("depth", file)) {
        const auto millimetres = read_sized(file, height, width, read_gray);
        const auto raw = millimetres.to(torch::kFloat).div_(1000).unsqueeze(0);
        const auto depth = valid(raw, raw > 0);
        frame.truth.set("depth", shrink_valid(depth, depth > 0, n, /*whole=*/true));
    }
    if (there("normal", file))
        frame.truth.set("normal", shrink_normals(normal(file, PriorFormat()), n, /*whole=*/true));
    if (there("label", file))
        frame.truth.set("semantic",
                        shrink_nearest(nearest(read_sized(file, height, width, read_labels)), n));
}

// The camera's size, which is that of the picture where its file has none.
MapSize full_size(const FrameSource& source, const FrameReading& reading) {
    MapSize size{source.camera.height, source.camera.width};
    if (size.width == 0 || size.height == 0) {
        const auto stored = source.video_frame < 0
                                ? stored_size(source.picture)
                                : MapSize{reading.decoders->video(source.picture).height(),
                                          reading.decoders->video(source.picture).width()};
        if (size.width == 0) size.width = stored.width;
        if (size.height == 0) size.height = stored.height;
    }
    const int64_t most = std::min(size.width, size.height);
    if (reading.downscale < 1 || reading.downscale > most)
        throw Error(fmt::format("data.downscale: expected a whole number from 1 to {}, got {}",
                                most, reading.downscale));
    return size;
}

Camera shrunk_camera(const FrameSource& source, MapSize size, int64_t n) {
    Camera camera = source.camera.camera();
    camera.intrinsics = camera.intrinsics / static_cast<double>(n);  // centres at 0.5: no shift
    camera.width = size.width / n;
    camera.height = size.height / n;
    return camera;
}

}  // namespace

// Sapiens writes the person as <name>.npy and the labels as <name>_seg.npy into the same folder.
fs::path find_labels(const fs::path& folder, const std::string& name) {
    const auto labels = find_picture(folder, name + "_seg");
    return is_there(labels) ? labels : find_picture(folder, name);
}

FrameBytes frame_bytes(const FrameSource& source, const FrameReading& reading) {
    // Of a pixel. Colour and mask: means of several pixels are no bytes.
    const bool whole = reading.downscale == 1 && !source.camera.distortion.defined();
    FrameBytes bytes{12 + 4, whole ? 3.0 + 1 : 6 + 2};
    const auto add = [&](double decoded, double kept) {
        bytes.decoded += decoded;
        bytes.kept += kept;
    };
    if (!reading.normal.empty()) add(12, 6);
    if (!reading.depth.empty()) add(4, 4);
    if (!reading.semantic.empty()) add(8, 1);
    for (const auto& [name, features] : reading.features) {
        const auto channels =
            static_cast<double>(feature_channels(features / (source.name + ".npy")));
        add(4 * channels, 2 * channels);
    }
    if (reading.truth && is_there(source.folder / "gt")) add(4 + 12 + 8, 4 + 6 + 1);
    const auto camera = frame_camera(source, reading);
    const auto pixels = static_cast<double>(camera.width) * static_cast<double>(camera.height);
    return {bytes.decoded * pixels, bytes.kept * pixels};
}

int64_t feature_channels(const fs::path& file) {
    const auto shape = read_npy_header(file).shape;
    return shape.size() < 3 ? 1 : shape[shape.size() - 3];
}

void check_frame_files(const FrameSource& source, const FrameReading& reading) {
    const auto [height, width] = full_size(source, reading);
    const auto check = [&](const fs::path& file, const std::string& array = {}) {
        check_size(stored_size(file, array), height, width, file);
    };
    const auto& format = reading.format;
    if (source.video_frame < 0) {
        check(source.picture);
    } else {
        const auto& video = reading.decoders->video(source.picture);
        check_size({video.height(), video.width()}, height, width, source.picture);
    }
    for (const auto& file : source.mask.files) {
        if (is_hdf5(file)) {
            const auto shape = reading.decoders->masks(file).shape("masks");
            const MapSize size{shape.size() == 3 ? shape[1] : 0, shape.size() == 3 ? shape[2] : 0};
            check_size(size, height, width, file);
        } else {
            check_mask_there(file);
            check(file);
        }
    }
    if (!reading.normal.empty())
        check(find_picture(reading.normal, source.name), format.normal_array);
    if (!reading.depth.empty()) check(find_picture(reading.depth, source.name), format.depth_array);
    if (!reading.semantic.empty())
        check(find_labels(reading.semantic, source.name), format.seg_array);
    for (const auto& [name, folder] : reading.features)
        read_npy_header(folder / (source.name + ".npy"));
    if (!reading.truth) return;
    for (const char* kind : {"depth", "normal", "label"}) {
        const auto file = find_picture(source.folder / "gt" / kind, source.name);
        if (is_there(file)) check(file);
    }
}

Camera frame_camera(const FrameSource& source, const FrameReading& reading) {
    return shrunk_camera(source, full_size(source, reading), reading.downscale);
}

void read_frame_files(const FrameSource& source, const FrameReading& reading, Frame& frame) {
    const auto size = full_size(source, reading);
    const int64_t n = reading.downscale;
    const Reader reader{source, reading, size.height, size.width,
                        reading.decoders->lenses.of(source.camera, size.height, size.width)};
    const auto color = reader.linear(reader.color());
    const auto stored = reader.stored_mask();
    const auto mask = reader.lens ? reader.lens->mask(stored) : stored;
    frame.maps.set("color", shrink_area(reading.background ? color : color * mask, n));
    frame.maps.set("mask", shrink_area(mask, n));
    reader.priors(stored, mask, frame);
    frame.truth.set("color", frame.maps.at("color"));
    frame.truth.set("mask", frame.maps.at("mask"));
    if (reading.truth) reader.truth(frame);
    frame.camera = shrunk_camera(source, size, n);
}

}  // namespace fmgs
