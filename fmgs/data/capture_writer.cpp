#include <fmgs/data/capture_writer.h>

#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/aside_folder.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/pose_file.h>
#include <fmgs/data/priors.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

using Frames = std::vector<const Frame*>;

// OpenCV normals → (n+1)/2 with x right, y up, z to the viewer; 0,0,0 where there is none.
void write_normal(const fs::path& file, const torch::Tensor& normal) {
    const auto flip = torch::tensor({1.0, -1.0, -1.0}, normal.options()).reshape({3, 1, 1});
    write_color(file, (normal * flip + 1) / 2 * (normal != 0).any(0, true));
}

void write_relative_depth(const fs::path& file, const torch::Tensor& depth) {
    const double top = std::max(1.0, depth.max().item<double>());
    // 0 says "none", so the nearest that there is stays above it.
    const auto steps = (depth[0] / top * 65535).round().clamp_min(1) * (depth[0] > 0);
    write_gray(file, steps.to(torch::kLong), true);
}

void write_maps(const fs::path& folder, const Frame& frame, bool priors) {
    const std::string picture = frame.name + ".png";
    const auto mask = frame.maps.at("mask");
    write_color(folder / "images" / picture, frame.maps.at("color"));
    write_gray(folder / "masks" / picture, ((mask[0] >= 0.5) * 255).to(torch::kLong));
    for (const auto& [name, map] : frame.maps) {
        if (!priors || name == "color" || name == "mask") continue;
        if (name == "normal") {
            write_normal(folder / "priors/normal" / picture, map);
        } else if (name == "depth") {
            write_relative_depth(folder / "priors/depth" / picture, map);
        } else if (name == "semantic") {
            write_gray(folder / "priors/seg" / picture, map);
        } else {
            write_npy(folder / "priors" / name / (frame.name + ".npy"), npy_array(map));
        }
    }
    if (const auto* depth = frame.truth.find("depth")) {
        write_gray(folder / "gt/depth" / picture,
                   (depth->select(0, 0) * 1000).round().to(torch::kLong), true);
    }
    if (const auto* normal = frame.truth.find("normal"))
        write_normal(folder / "gt/normal" / picture, *normal);
    if (const auto* labels = frame.truth.find("semantic"))
        write_gray(folder / "gt/label" / picture, *labels);
}

void check_frames(const Frames& frames) {
    std::set<std::string> names;
    const auto& first = frames.front()->camera;
    for (const Frame* frame : frames) {
        if (frame->name.empty() || frame->name.find('/') != std::string::npos ||
            !names.insert(frame->name).second) {
            throw Error(
                fmt::format("frame '{}': expected a name of its own without '/'", frame->name));
        }
        if (frame->camera.width != first.width || frame->camera.height != first.height) {
            throw Error(fmt::format(
                "frame '{}': expected {}x{} pixels as the first of its folder, got {}x{}",
                frame->name, first.width, first.height, frame->camera.width, frame->camera.height));
        }
        check_shape(frame->maps.at("color"), {3, first.height, first.width},
                    (frame->name + ": color").c_str());
        check_shape(frame->maps.at("mask"), {1, first.height, first.width},
                    (frame->name + ": mask").c_str());
    }
}

void write_pictures(const fs::path& folder, const Frames& frames, bool priors) {
    // Folders first: the frames are written side by side.
    std::set<fs::path> folders = {folder / "images", folder / "masks"};
    for (const Frame* frame : frames) {
        for (const auto& [name, map] : frame->maps) {
            if (priors && name != "color" && name != "mask")
                folders.insert(folder / "priors" / (name == "semantic" ? "seg" : name));
        }
        for (const auto& [name, map] : frame->truth)
            folders.insert(folder / "gt" / (name == "semantic" ? "label" : name));
    }
    for (const char* copy : {"color", "mask"}) folders.erase(folder / "gt" / copy);
    for (const auto& path : folders) fs::create_directories(path);
    at::parallel_for(0, static_cast<int64_t>(frames.size()), 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            write_maps(folder, *frames[static_cast<size_t>(i)], priors);
    });
}

void write_cameras(const fs::path& file, const Frames& frames) {
    std::vector<torch::Tensor> intrinsics, extrinsics;
    for (const Frame* frame : frames) {
        const auto& camera = frame->camera;
        auto K = torch::eye(3, torch::kDouble), E = torch::eye(4, torch::kDouble);
        const auto f = camera.intrinsics.to(torch::kDouble);
        K[0][0] = f[0];
        K[1][1] = f[1];
        K[0][2] = f[2];
        K[1][2] = f[3];
        E.slice(0, 0, 3).slice(1, 0, 3).copy_(camera.rotation);
        E.slice(0, 0, 3).select(1, 3).copy_(camera.translation);
        intrinsics.push_back(K);
        extrinsics.push_back(E);
    }
    // One matrix where one serves all: what other readers of this layout expect.
    const auto rows = [](const std::vector<torch::Tensor>& all) {
        for (const auto& x : all) {
            if (!torch::equal(x, all.front())) return torch::stack(all);
        }
        return all.front();
    };
    const auto& camera = frames.front()->camera;
    write_npz(file, {{"intrinsic", npy_array(rows(intrinsics))},
                     {"extrinsic", npy_array(rows(extrinsics))},
                     {"width", npy_array(torch::tensor(camera.width))},
                     {"height", npy_array(torch::tensor(camera.height))},
                     {"pixel_center", npy_array(torch::tensor(0.5, torch::kDouble))}});
}

void write_poses(const fs::path& file, const Frames& frames, const torch::Tensor& betas) {
    std::vector<torch::Tensor> rows, places;
    PoseFile poses;
    for (const Frame* frame : frames) {
        rows.push_back(log_map(frame->pose.rotations).flatten());
        places.push_back(frame->pose.translation);
        poses.names.push_back(frame->name);
    }
    const auto angles = torch::stack(rows);
    poses.betas = betas;
    poses.global_orient = angles.slice(1, 0, 3);
    poses.body_pose = angles.slice(1, 3);
    poses.transl = torch::stack(places);
    write_pose_file(file, poses);
}

// A capture whose frames are decoded.
struct Decoded {
    std::map<std::string, std::vector<Frame>> splits;
    const torch::Tensor& betas;

    explicit Decoded(const Capture& capture) : betas(capture.betas) {
        for (const auto& [name, frames] : capture.splits)
            splits[name] = {frames.begin(), frames.end()};
    }
};

Frames pointers(const std::vector<Frame>& frames) {
    Frames out;
    for (const auto& frame : frames) out.push_back(&frame);
    return out;
}

void write_root(const fs::path& folder, const Decoded& capture) {
    Frames all;
    fs::create_directories(folder / "poses");
    fs::create_directories(folder / "splits");
    for (const char* name : {"train", "test"}) {
        if (!capture.splits.contains(name) || capture.splits.at(name).empty()) continue;
        const auto frames = pointers(capture.splits.at(name));
        all.insert(all.end(), frames.begin(), frames.end());
        write_poses(folder / "poses" / (std::string(name) + ".npz"), frames, capture.betas);
        std::string list;
        for (const Frame* frame : frames) list += frame->name + "\n";
        write_whole(folder / "splits" / (std::string(name) + ".txt"), list);
    }
    check_frames(all);
    // Rows of cameras.npz follow the pictures in the order of their names.
    std::sort(all.begin(), all.end(),
              [](const Frame* a, const Frame* b) { return natural_less(a->name, b->name); });
    write_cameras(folder / "cameras.npz", all);
    write_pictures(folder, pointers(capture.splits.at("train")), true);
    if (capture.splits.contains("test"))
        write_pictures(folder, pointers(capture.splits.at("test")), false);
    if (fs::exists(folder / "priors"))
        write_prior_format(folder / "priors/priors.json", PriorFormat());
}

}  // namespace

void write_capture(const fs::path& folder, const Capture& given) {
    const Decoded capture(given);
    if (!capture.splits.contains("train") || capture.splits.at("train").empty()) {
        throw Error("capture: expected frames in split 'train', got none");
    }
    if (is_there(folder) && !(fs::is_directory(folder) && fs::is_empty(folder))) {
        throw Error(fmt::format("{}: holds files already; give a new folder or remove this one",
                                folder.string()));
    }
    AsideFolder aside(folder);
    write_root(aside.path(), capture);
    for (const char* name : {"test_view", "novel_motion"}) {
        if (!capture.splits.contains(name) || capture.splits.at(name).empty()) continue;
        const auto frames = pointers(capture.splits.at(name));
        check_frames(frames);
        write_pictures(aside.path() / name, frames, false);
        write_cameras(aside.path() / name / "cameras.npz", frames);
        write_poses(aside.path() / name / "poses.npz", frames, capture.betas);
    }
    aside.put_in_place();
}

}  // namespace fmgs
