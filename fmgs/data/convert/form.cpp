#include <fmgs/data/convert/form.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/data/file_names.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace fmgs::detail {

namespace fs = std::filesystem;

namespace {

std::string camera_of(const FrameSource& frame) {
    return fs::path(frame.name).parent_path().string();
}
std::string stem_of(const FrameSource& frame) { return fs::path(frame.name).filename().string(); }

bool same_camera(const SourceCamera& a, const SourceCamera& b) {
    return torch::equal(a.intrinsic, b.intrinsic) && torch::equal(a.extrinsic, b.extrinsic);
}

// Row `row` of the poses, [3J+3].
torch::Tensor pose_row(const PoseFile& poses, int64_t row) {
    return torch::cat({poses.global_orient[row], poses.body_pose[row], poses.transl[row]});
}

/// Frames with a pose each, in the order of their rows.
struct PosedFrames {
    std::vector<const FrameSource*> frames;
    std::vector<const PoseFile*> poses;

    void add(const FrameSource& frame, const SplitSource& split) {
        frames.push_back(&frame);
        poses.push_back(&split.poses);
    }
    torch::Tensor row(size_t k) const { return pose_row(*poses[k], frames[k]->row); }
};

// One frame of each name; those that come again have to be the same.
PosedFrames once(const std::vector<const SplitSource*>& splits,
                 std::string (*name_of)(const FrameSource&)) {
    PosedFrames out;
    std::map<std::string, size_t> seen;
    for (const auto* split : splits) {
        for (const auto& frame : split->frames) {
            const auto [at, is_new] = seen.emplace(name_of(frame), out.frames.size());
            if (is_new) {
                out.add(frame, *split);
            } else if (!torch::equal(out.row(at->second), pose_row(split->poses, frame.row))) {
                throw Error(fmt::format(
                    "{}: frame '{}' has another pose in split {} than before; expected one pose "
                    "for each picture",
                    split->pose_path.string(), frame.name, split->name));
            }
        }
    }
    return out;
}

std::vector<const SplitSource*> pointers(const CaptureSource& source) {
    std::vector<const SplitSource*> out;
    for (const auto& split : source.splits) out.push_back(&split);
    return out;
}

// The cameras by name, where each stands still and all see the same poses; else empty.
std::map<std::string, const FrameSource*> fixed_cameras(const CaptureSource& source) {
    std::map<std::string, const FrameSource*> cameras;
    std::map<std::string, torch::Tensor> poses;
    const fs::path root = source.splits.front().frames.front().folder;
    for (const auto& split : source.splits) {
        for (const auto& frame : split.frames) {
            const auto camera = camera_of(frame);
            if (camera.empty() || camera.find('/') != camera.npos || frame.folder != root)
                return {};
            const auto known = cameras.emplace(camera, &frame).first->second;
            const auto pose = pose_row(split.poses, frame.row);
            const auto before = poses.emplace(stem_of(frame), pose).first->second;
            if (!same_camera(known->camera, frame.camera) || !torch::equal(before, pose)) return {};
        }
    }
    return cameras;
}

// One matrix where one serves all, which is what other readers expect.
NpyArray rows_of(const std::vector<const FrameSource*>& frames,
                 torch::Tensor SourceCamera::*matrix) {
    std::vector<torch::Tensor> all;
    bool same = true;
    for (const auto* frame : frames) {
        all.push_back(frame->camera.*matrix);
        same = same && torch::equal(all.back(), all.front());
    }
    return npy_array((same ? all.front() : torch::stack(all)).to(torch::kDouble).contiguous());
}

void write_cameras(const fs::path& file, const std::vector<const FrameSource*>& frames,
                   const std::vector<std::string>& names, const FrameReading& reading) {
    NpzFile arrays = {{"intrinsic", rows_of(frames, &SourceCamera::intrinsic)},
                      {"extrinsic", rows_of(frames, &SourceCamera::extrinsic)},
                      {"pixel_center", npy_array(torch::tensor(0.5, torch::kDouble))}};
    if (!names.empty()) arrays["camera_names"] = npy_array(names);
    const auto first = frame_camera(*frames.front(), reading);
    bool same = true;
    for (const auto* frame : frames) {
        const auto size = frame_camera(*frame, reading);
        same = same && size.width == first.width && size.height == first.height;
    }
    if (same) {  // else each picture says its own
        arrays["width"] = npy_array(torch::tensor(first.width));
        arrays["height"] = npy_array(torch::tensor(first.height));
    }
    write_npz(file, arrays);
}

void write_poses(const fs::path& file, const PosedFrames& posed,
                 std::string (*name_of)(const FrameSource&), const torch::Tensor& betas) {
    PoseFile out;
    std::vector<torch::Tensor> root, body, places;
    int64_t columns = 0;
    for (const auto* poses : posed.poses) columns = std::max(columns, poses->body_pose.size(1));
    for (size_t k = 0; k < posed.frames.size(); ++k) {
        const auto& poses = *posed.poses[k];
        const int64_t row = posed.frames[k]->row;
        root.push_back(poses.global_orient[row]);
        // Joints that a file lacks are at rest.
        const int64_t missing = columns - poses.body_pose.size(1);
        body.push_back(torch::cat({poses.body_pose[row], torch::zeros({missing})}));
        places.push_back(poses.transl[row]);
        out.names.push_back(name_of(*posed.frames[k]));
    }
    out.betas = betas;
    out.global_orient = torch::stack(root);
    out.body_pose = torch::stack(body);
    out.transl = torch::stack(places);
    write_pose_file(file, out);
}

std::string full_name(const FrameSource& frame) { return frame.name; }

void write_list(const fs::path& output, const SplitSource& split) {
    std::string list;
    for (const auto& frame : split.frames) list += frame.name + "\n";
    write_whole(output / "splits" / (split.name + ".txt"), list);
}

bool is_in_root(const SplitSource& split) { return split.name == "train" || split.name == "test"; }

void write_one_camera(const fs::path& output, const OpenCapture& capture) {
    std::vector<const SplitSource*> in_root;
    for (const auto& split : capture.source.splits) {
        if (is_in_root(split)) {
            in_root.push_back(&split);
            continue;
        }
        const auto posed = once({&split}, full_name);
        write_cameras(output / split.name / "cameras.npz", posed.frames, {}, capture.reading);
        write_poses(output / split.name / "poses.npz", posed, full_name, capture.betas);
    }
    const auto posed = once(in_root, full_name);
    write_poses(output / "poses.npz", posed, full_name, capture.betas);
    if (in_root.size() > 1)
        for (const auto* split : in_root) write_list(output, *split);
    // Rows of cameras follow the pictures in the order of their names.
    auto frames = posed.frames;
    std::sort(frames.begin(), frames.end(),
              [](const auto* a, const auto* b) { return natural_less(a->name, b->name); });
    write_cameras(output / "cameras.npz", frames, {}, capture.reading);
}

void check_name(const FrameSource& frame) {
    const fs::path name(frame.name);
    bool bad = frame.name.empty() || name.is_absolute() || !name.has_filename();
    for (const auto& part : name) bad = bad || part == ".." || part == ".";
    for (const char c : frame.name) bad = bad || c == '\0' || c == '\n' || c == '\\';
    if (bad)
        throw Error(fmt::format("{}: frame '{}': expected a name that stays in its folder",
                                frame.folder.string(), frame.name));
}

}  // namespace

std::vector<PlacedFrame> place_frames(const CaptureSource& source) {
    const bool several = !fixed_cameras(source).empty();
    std::vector<PlacedFrame> out;
    std::map<fs::path, const FrameSource*> seen;
    const bool nested = !camera_of(source.splits.front().frames.front()).empty();
    for (const auto& split : source.splits) {
        const bool own = !several && !is_in_root(split);
        for (const auto& frame : split.frames) {
            check_name(frame);
            if (!own && nested == camera_of(frame).empty())
                throw Error(fmt::format(
                    "{}: frame '{}': expected all names with a folder in front, or none",
                    frame.folder.string(), frame.name));
            const fs::path folder = own ? split.name : "";
            const auto [at, is_new] = seen.emplace(folder / frame.name, &frame);
            if (is_new)
                out.push_back({&frame, folder, &split == &source.splits.front()});
            else if (at->second->picture != frame.picture ||
                     at->second->video_frame != frame.video_frame)
                throw Error(fmt::format("two pictures are called '{}': {} and {}", frame.name,
                                        at->second->picture.string(), frame.picture.string()));
        }
    }
    return out;
}

void write_arrays(const fs::path& output, const OpenCapture& capture) {
    const auto cameras = fixed_cameras(capture.source);
    if (cameras.empty()) return write_one_camera(output, capture);
    std::vector<std::string> names;
    for (const auto& [name, frame] : cameras) names.push_back(name);
    std::sort(names.begin(), names.end(), natural_less);
    std::vector<const FrameSource*> rows;
    for (const auto& name : names) rows.push_back(cameras.at(name));
    write_cameras(output / "cameras.npz", rows, names, capture.reading);
    write_poses(output / "poses.npz", once(pointers(capture.source), stem_of), stem_of,
                capture.betas);
    for (const auto& split : capture.source.splits) write_list(output, split);
}

}  // namespace fmgs::detail
