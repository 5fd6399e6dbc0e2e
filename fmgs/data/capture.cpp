#include <fmgs/data/capture.h>

#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/memory.h>
#include <fmgs/data/capture_checks.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

const Layout& layout_of(const fs::path& root) {
    if (root.empty()) throw Error("data.root: expected the folder of a capture, got nothing");
    if (!is_there(root) || !fs::is_directory(root))
        throw Error(fmt::format("data.root: {}: expected the folder of a capture, there is {}",
                                root.string(), is_there(root) ? "a file" : "none"));
    if (const auto* layout = find_layout(root)) return *layout;
    std::string known;
    for (const auto& layout : layouts())
        known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", layout.files, layout.name);
    throw Error(
        fmt::format("{}: not a layout that is known; expected one of: {}", root.string(), known));
}

bool is_read(const CaptureParts& parts, const std::string& split) {
    return parts.splits.empty() ||
           std::find(parts.splits.begin(), parts.splits.end(), split) != parts.splits.end();
}

void select_train(SplitSource& train, const CaptureOptions& options) {
    const int64_t count = static_cast<int64_t>(train.frames.size());
    const int64_t last = options.last < 0 ? count - 1 : options.last;
    if (options.first < 0 || options.stride < 1 || options.first > last || last >= count) {
        throw Error(fmt::format(
            "data.first, last, stride: expected 0 <= first <= last < {} (train frames of {}) and "
            "stride >= 1, got {}, {}, {}",
            count, options.root, options.first, options.last, options.stride));
    }
    std::vector<FrameSource> kept;
    for (int64_t i = options.first; i <= last; i += options.stride)
        kept.push_back(train.frames[static_cast<size_t>(i)]);
    train.frames = std::move(kept);
}

void find_priors(const fs::path& root, const std::map<std::string, std::string>& modalities,
                 FrameReading& out, Names& notes) {
    const fs::path priors = root / "priors";
    if (is_there(priors / "priors.json")) {
        out.format = read_prior_format(priors / "priors.json");
        if (!out.format.unread.empty())
            notes.push_back(fmt::format("{}: remarks, which are not read: {}",
                                        (priors / "priors.json").string(),
                                        fmt::join(out.format.unread, ", ")));
    } else if (is_there(priors)) {
        notes.push_back(
            priors.string() +
            ": no priors.json; normals, depth and labels are read in Sapiens' conventions");
    }
    const auto take = [&](const fs::path& folder, const std::string& name) {
        if (is_there(folder) && fs::is_directory(folder)) return folder;
        notes.push_back(folder.string() + ": no such folder; the frames have no " + name +
                        " prior");
        return fs::path();
    };
    out.normal = take(priors / out.format.normal_folder, "normal");
    out.depth = take(priors / out.format.depth_folder, "depth");
    out.semantic = take(priors / out.format.seg_folder, "semantic");
    for (const auto& [name, folder] : modalities) {
        if (const auto found = take(root / folder, name); !found.empty())
            out.features[name] = found;
    }
}

// The poses of a split's frames as one row each, [F,3J+3].
torch::Tensor pose_matrix(const SplitSource& split) {
    std::vector<int64_t> rows;
    for (const auto& frame : split.frames) rows.push_back(frame.row);
    const auto& poses = split.poses;
    return torch::cat({poses.global_orient, poses.body_pose, poses.transl}, 1)
        .index_select(0, torch::tensor(rows, torch::kLong));
}

// For each frame the train frame that shows the same pose, or -1.
std::vector<int64_t> train_indices(const SplitSource& split, const torch::Tensor& train) {
    std::vector<int64_t> indices;
    const auto mine = pose_matrix(split);
    for (int64_t i = 0; i < mine.size(0); ++i) {
        int64_t index = -1;
        if (mine.size(1) == train.size(1)) {
            const auto [away, nearest] = (train - mine[i]).abs().amax(1).min(0);
            if (away.item<double>() < 1e-6) index = nearest.item<int64_t>();
        }
        indices.push_back(index);
    }
    return indices;
}

std::vector<Frame> make_frames(const SplitSource& split, const SplitSource& train,
                               int64_t joint_count) {
    std::vector<Frame> frames(split.frames.size());
    const auto indices =
        &split == &train ? std::vector<int64_t>() : train_indices(split, pose_matrix(train));
    for (size_t i = 0; i < frames.size(); ++i) {
        const auto& source = split.frames[i];
        frames[i].name = source.name;
        frames[i].index = &split == &train ? static_cast<int64_t>(i) : indices[i];
        frames[i].pose = split.poses.pose(source.row, joint_count);
    }
    return frames;
}

// A frame whose files are read, and how.
struct Job {
    Frame* frame;
    const FrameSource* source;
    const FrameReading* reading;
};

// Says what the frames take before the first is decoded.
void check_frames_memory(const std::vector<Job>& jobs, const CaptureOptions& options,
                         Names& notes) {
    // By the first picture of each folder: they are of one size.
    double bytes = 0, each = 0;
    const Job* before = nullptr;
    for (const auto& job : jobs) {
        if (!before || before->source->folder != job.source->folder ||
            before->reading != job.reading)
            each = frame_bytes(*job.source, *job.reading);
        before = &job;
        bytes += each;
    }
    const double left = free_memory();
    if (jobs.empty() || bytes < 0.5 * left) return;
    const auto camera = frame_camera(*jobs.front().source, *jobs.front().reading);
    const double over = std::max(1.0, std::ceil(bytes / (0.5 * left)));
    const auto text = fmt::format(
        "{}: {} frames of {}x{} take about {} of memory, {} are free; use data.downscale={:.0f}, "
        "or data.stride={:.0f} to take fewer of the train frames",
        options.root, jobs.size(), camera.width, camera.height, memory_text(bytes),
        memory_text(left), static_cast<double>(options.downscale) * std::ceil(std::sqrt(over)),
        static_cast<double>(options.stride) * over);
    if (bytes > left) throw Error(text);
    notes.push_back(text);
}

// Decodes all frames: those of videos one after the other, the others on all cores. The first frame
// in order that fails is the one that is reported. (What decodes later and keeps less belongs
// here.)
void read_all(const std::vector<Job>& jobs) {
    std::vector<std::exception_ptr> failed(jobs.size());
    const auto read = [&](size_t i) {
        try {
            read_frame_files(*jobs[i].source, *jobs[i].reading, *jobs[i].frame);
        } catch (...) {
            failed[i] = std::current_exception();
        }
    };
    for (size_t i = 0; i < jobs.size(); ++i) {
        if (jobs[i].source->video_frame >= 0) read(i);
    }
    at::parallel_for(0, static_cast<int64_t>(jobs.size()), 1, [&](int64_t begin, int64_t end) {
        for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
            if (jobs[i].source->video_frame < 0) read(i);
        }
    });
    for (const auto& failure : failed) {
        if (failure) std::rethrow_exception(failure);
    }
}

void check_features(const FrameReading& reading, const std::vector<Frame>& frames) {
    for (const auto& [name, folder] : reading.features) {
        const int64_t channels = frames.front().maps.at(name).size(0);
        for (const auto& frame : frames) {
            if (frame.maps.at(name).size(0) == channels) continue;
            throw Error(fmt::format("{}: expected {} channels as in the first frame, got {}",
                                    (folder / (frame.name + ".npy")).string(), channels,
                                    frame.maps.at(name).size(0)));
        }
    }
}

// Frames of all splits, with the maps of those that are asked for. Returns "3 train, 2 test".
std::string read_frames(const std::vector<SplitSource>& splits, const CaptureOptions& options,
                        const CaptureParts& parts, const FrameReading& full, int64_t joint_count,
                        Capture& capture) {
    FrameReading bare;
    bare.downscale = full.downscale;
    bare.truth = full.truth;
    bare.decoders = full.decoders;
    std::string counts;
    std::vector<Job> jobs;
    for (const auto& split : splits) {
        auto& frames = capture.splits[split.name] = make_frames(split, splits.front(), joint_count);
        counts +=
            fmt::format("{}{} {}", counts.empty() ? "" : ", ", split.frames.size(), split.name);
        for (size_t i = 0; i < frames.size(); ++i) {
            if (is_read(parts, split.name))
                jobs.push_back(
                    {&frames[i], &split.frames[i], &split == &splits.front() ? &full : &bare});
            else
                frames[i].camera = frame_camera(split.frames[i], bare);
        }
    }
    check_frames_memory(jobs, options, capture.notes);
    read_all(jobs);
    return counts;
}

}  // namespace

CaptureParts training_parts() { return {{"train"}, /*priors=*/true, /*truth=*/false}; }

bool is_capture(const fs::path& root) { return find_layout(root) != nullptr; }

std::vector<std::string> split_names(const CaptureOptions& options) {
    const CaptureParts all;
    Names names;
    const RestJoints rest(options.body);
    for (const auto& split : layout_of(options.root).read({options, all, rest}).splits)
        names.push_back(split.name);
    return names;
}

Capture read_capture(const CaptureOptions& options,
                     const std::map<std::string, std::string>& modalities,
                     const CaptureParts& parts) {
    const RestJoints rest(options.body);
    auto source = layout_of(options.root).read({options, parts, rest});
    Capture capture;
    capture.notes = source.notes;
    auto& train = source.splits.front();
    select_train(train, options);
    for (auto& split : source.splits)
        split.poses = with_smpl_transl(split.poses, rest, split.pose_path.string());
    check_units(source.splits);
    if (rest.has_body()) capture.body = rest.body(options.root);
    const auto* body = capture.body.get();
    if (body) check_body_sizes(source.splits, *body, options.body);
    capture.betas =
        unify_betas(source.splits, rest, body ? body->shape_directions.size(2) : 0, capture.notes);

    FrameReading reading;
    reading.downscale = options.downscale;
    reading.truth = parts.truth;
    reading.decoders = make_decoders();
    const bool priors = parts.priors && is_read(parts, "train");
    if (priors) find_priors(options.root, modalities, reading, capture.notes);
    if (!reading.semantic.empty()) capture.label_set = reading.format.label_set;
    // A fit of 22 joints lacks SMPL's two hand joints.
    const int64_t joint_count =
        body ? body->weights.size(1) : std::max<int64_t>(24, 1 + train.poses.body_pose.size(1) / 3);
    const auto counts = read_frames(source.splits, options, parts, reading, joint_count, capture);
    if (priors) check_features(reading, capture.splits["train"]);
    const auto& camera = capture.splits["train"].front().camera;
    capture.description =
        fmt::format("{}: {} frames at {}x{}; poses from {}{}", source.description, counts,
                    camera.width, camera.height, train.pose_path.filename().string(),
                    train.poses.layout.empty() ? "" : fmt::format(" ({})", train.poses.layout));
    return capture;
}

}  // namespace fmgs
