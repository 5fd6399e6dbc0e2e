#include <fmgs/data/convert/frame_writer.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/image_io.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs::detail {

namespace fs = std::filesystem;

namespace {

bool has_lens(const FrameSource& frame) { return frame.camera.distortion.defined(); }

fs::path with_extension(const fs::path& folder, const std::string& name, const fs::path& like) {
    return folder / (name + like.extension().string());  // names may have dots of their own
}

void copy_whole(const fs::path& from, const fs::path& to) { write_whole(to, read_whole(from)); }

// OpenCV's axes → those of PriorFormat's default.
torch::Tensor default_axes(const torch::Tensor& normal) {
    return normal * torch::tensor({1.f, -1.f, -1.f}).reshape({3, 1, 1});
}

// 0 is "none" here, NaN in an array.
torch::Tensor with_holes(const torch::Tensor& depth) {
    return torch::where(depth > 0, depth, torch::full({}, NAN, depth.options()));
}

void write_labels(const fs::path& file, const torch::Tensor& labels) {
    write_gray(file, labels, labels.max().item<int64_t>() > 255);
}

// The alpha channel as it is, where read_mask takes the same of it as read_alpha.
torch::Tensor soft_alpha(const fs::path& picture) {
    const auto values = read_channels(picture);
    const auto alpha = values[values.size(0) - 1].contiguous();
    constexpr int64_t kHalf = 128;  // below it read_mask would take the largest for white
    const auto top = alpha.max().item<int64_t>();
    return top >= kHalf && top <= 255 ? alpha : torch::Tensor();
}

bool is_array_set(const fs::path& file) {
    return file.extension() == ".hdf5" || file.extension() == ".h5";
}

}  // namespace

FrameWriter::FrameWriter(fs::path output, const OpenCapture& capture, bool masks)
    : output_(std::move(output)), full_(capture.reading), masks_(masks) {
    full_.background = true;
    bare_.background = true;
    bare_.truth = full_.truth;
    bare_.decoders = full_.decoders;
    const auto& train = capture.source.splits.front().frames;
    maps_ = std::any_of(train.begin(), train.end(), has_lens);
    if (full_.normal.empty() && full_.depth.empty() && full_.semantic.empty()) return;
    PriorFormat format = maps_ ? PriorFormat() : full_.format;
    format.classes = full_.format.classes;
    const PriorFormat names;
    format.normal_folder = names.normal_folder;
    format.depth_folder = names.depth_folder;
    format.seg_folder = names.seg_folder;
    write_prior_format(output_ / "priors/priors.json", format);
}

void FrameWriter::write(const PlacedFrame& placed) const {
    const auto& source = *placed.source;
    Frame frame;
    read_frame_files(source, placed.priors ? full_ : bare_, frame);
    const fs::path images = output_ / placed.folder / "images";
    if (!has_lens(source) && source.video_frame < 0 && is_picture(source.picture))
        copy_whole(source.picture, with_extension(images, source.name, source.picture));
    else
        write_color(images / (source.name + ".png"), frame.maps.at("color"), has_lens(source));
    if (masks_) write_mask(placed, frame);
    if (placed.priors) write_priors(source, frame);
    write_truth(placed, frame);
}

void FrameWriter::write_mask(const PlacedFrame& placed, const Frame& frame) const {
    const auto& source = *placed.source;
    const auto& mask = source.mask;
    const fs::path masks = output_ / placed.folder / "masks", file = masks / (source.name + ".png");
    const bool plain = mask.says == MaskSource::Says::person && mask.files.size() == 1;
    if (!has_lens(source) && plain && !is_array_set(mask.files.front()))
        return copy_whole(mask.files.front(),
                          with_extension(masks, source.name, mask.files.front()));
    if (!has_lens(source) && mask.says == MaskSource::Says::alpha) {
        const auto alpha = soft_alpha(source.picture);
        if (alpha.defined()) return write_gray(file, alpha);
    }
    write_gray(file, (frame.maps.at("mask")[0] * 255).to(torch::kLong));
}

void FrameWriter::write_priors(const FrameSource& source, const Frame& frame) const {
    const fs::path priors = output_ / "priors";
    const auto array = [&](const std::string& folder, const torch::Tensor& map) {
        write_npy(priors / folder / (source.name + ".npy"), npy_array(map.contiguous()));
    };
    const auto taken = [&](const std::string& folder, const fs::path& file) {
        copy_whole(file, with_extension(priors / folder, source.name, file));
    };
    const PriorFormat names;
    if (!full_.normal.empty()) {
        if (maps_)
            array(names.normal_folder, default_axes(frame.maps.at("normal")));
        else
            taken(names.normal_folder, find_picture(full_.normal, source.name));
    }
    if (!full_.depth.empty()) {
        if (maps_)
            array(names.depth_folder, with_holes(frame.maps.at("depth")[0]));
        else
            taken(names.depth_folder, find_picture(full_.depth, source.name));
    }
    if (!full_.semantic.empty()) {
        if (maps_)
            write_labels(priors / names.seg_folder / (source.name + ".png"),
                         frame.maps.at("semantic"));
        else
            taken(names.seg_folder, find_labels(full_.semantic, source.name));
    }
    for (const auto& [name, folder] : full_.features) {
        if (maps_)
            array(name, frame.maps.at(name));
        else
            taken(name, folder / (source.name + ".npy"));
    }
}

void FrameWriter::write_truth(const PlacedFrame& placed, const Frame& frame) const {
    const auto& source = *placed.source;
    const fs::path gt = output_ / placed.folder / "gt";
    for (const auto& [map, kind] : {std::pair{"depth", "depth"}, std::pair{"normal", "normal"},
                                    std::pair{"semantic", "label"}}) {
        const auto* values = frame.truth.find(map);
        if (!values) continue;
        const fs::path file = gt / kind / (source.name + ".png");
        const std::string name = map;
        if (!has_lens(source)) {
            const auto from = find_picture(source.folder / "gt" / kind, source.name);
            copy_whole(from, with_extension(gt / kind, source.name, from));
        } else if (name == "depth") {
            write_gray(file, (values->select(0, 0) * 1000).round().to(torch::kLong), true);
        } else if (name == "normal") {
            write_npy(gt / kind / (source.name + ".npy"),
                      npy_array(default_axes(*values).contiguous()));
        } else {
            write_labels(file, *values);
        }
    }
}

}  // namespace fmgs::detail
