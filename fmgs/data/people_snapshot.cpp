#include <fmgs/data/people_snapshot.h>

#include <ATen/Parallel.h>
#include <fmgs/core/body_model.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/body_file.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/memory.h>
#include <fmgs/data/snapshot_splits.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace fmgs {

namespace fs = std::filesystem;
using detail::is_wanted;
using detail::Names;
using detail::Split;

namespace {

// The betas and joints of the poses have to go with the body.
void check_body_sizes(const std::vector<Split>& splits, const BodySizes& body,
                      const std::string& file) {
    for (const auto& split : splits) {
        const auto& poses = split.poses;
        if (const int64_t joints = 1 + poses.body_pose.size(1) / 3; joints > body.joints)
            throw Error(fmt::format("{}: expected poses of at most {} joints, as {} has, got {}",
                                    split.pose_path.string(), body.joints, file, joints));
        if (poses.betas.defined() && poses.betas.size(0) > body.betas)
            throw Error(
                fmt::format("{}: betas: expected at most {}, the shape directions of {}, got {}",
                            split.pose_path.string(), body.betas, file, poses.betas.size(0)));
    }
}

// Rest position of joint 0 of the shaped body, [3].
torch::Tensor rest_root(const BodyData& body, const torch::Tensor& betas) {
    const int64_t count = std::min(betas.size(0), body.shape_directions.size(2));
    const auto shaped = body.vertices + torch::matmul(body.shape_directions.slice(2, 0, count),
                                                      betas.slice(0, 0, count));
    return torch::mv(shaped.t(), body.joint_regressor[0]);
}

// One avatar, one body: translations that were fitted with other betas are moved so that joint 0
// stays where it was.
void unify_betas(std::vector<Split>& splits, const CaptureOptions& options, int64_t directions,
                 Capture& capture) {
    auto& betas = splits.front().poses.betas;
    if (!betas.defined()) {
        betas = torch::zeros({directions});
        capture.notes.push_back(fmt::format("{}: no betas; the mean shape is taken ({} zeros)",
                                            splits.front().pose_path.string(), directions));
    }
    capture.betas = betas;
    for (auto& split : splits) {
        auto& poses = split.poses;
        if (!poses.betas.defined() || torch::equal(poses.betas, betas)) continue;
        if (options.body.empty()) {
            throw Error(fmt::format(
                "{}: its betas differ from the train split's; data.body is needed to move its "
                "translations",
                split.pose_path.string()));
        }
        const BodyData body = read_body(options.body);
        const auto shift =
            (rest_root(body, poses.betas) - rest_root(body, betas)).to(torch::kFloat);
        poses.transl = poses.transl + shift;
        capture.notes.push_back(
            fmt::format("{}: other betas than the train split's; its rotations are kept, its "
                        "translations moved by "
                        "{:.1f} mm",
                        split.pose_path.string(), 1000 * shift.norm().item<double>()));
    }
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

// The train frame that shows the same pose, or -1.
int64_t train_index(const Split& split, size_t i, const Split& train) {
    const auto row = [](const Split& s, size_t k) {
        return torch::cat({s.poses.global_orient[s.rows[k]], s.poses.body_pose[s.rows[k]],
                           s.poses.transl[s.rows[k]]});
    };
    const auto mine = row(split, i);
    for (size_t k = 0; k < train.names.size(); ++k) {
        const auto theirs = row(train, k);
        if (mine.sizes() == theirs.sizes() && (mine - theirs).abs().max().item<double>() < 1e-6)
            return static_cast<int64_t>(k);
    }
    return -1;
}

std::vector<Frame> make_frames(const Split& split, const Split& train, int64_t joint_count) {
    std::vector<Frame> frames(split.names.size());
    for (size_t i = 0; i < frames.size(); ++i) {
        frames[i].name = split.names[i];
        frames[i].index = &split == &train ? static_cast<int64_t>(i) : train_index(split, i, train);
        frames[i].pose = split.poses.pose(split.rows[i], joint_count);
        frames[i].camera = split.cameras.camera(split.cameras_at[i], split.camera_count,
                                                split.folder / "cameras.npz");
    }
    return frames;
}

// A frame whose files are read, and how.
struct Job {
    Frame* frame;
    const Split* split;
    const FrameReading* reading;
};

// Says what the frames take before the first is decoded.
void check_frames_memory(const std::vector<Job>& jobs, const CaptureOptions& options,
                         Names& notes) {
    // By the first picture of each split: they are of one size.
    double bytes = 0, each = 0;
    const Split* split = nullptr;
    for (const auto& job : jobs) {
        if (job.split != split) each = frame_bytes(job.split->folder, *job.reading, *job.frame);
        split = job.split;
        bytes += each;
    }
    const double left = free_memory();
    if (jobs.empty() || bytes < 0.5 * left) return;
    Frame sized = *jobs.front().frame;
    shrink_camera(jobs.front().split->folder, options.downscale, sized);
    const double over = std::max(1.0, std::ceil(bytes / (0.5 * left)));
    const auto text = fmt::format(
        "{}: {} frames of {}x{} take about {} of memory, {} are free; use data.downscale={:.0f}, "
        "or data.stride={:.0f} to take fewer of the train frames",
        options.root, jobs.size(), sized.camera.width, sized.camera.height, memory_text(bytes),
        memory_text(left), static_cast<double>(options.downscale) * std::ceil(std::sqrt(over)),
        static_cast<double>(options.stride) * over);
    if (bytes > left) throw Error(text);
    notes.push_back(text);
}

// Decodes all frames on all cores; the first frame in order that fails is the one that is reported.
void read_all(const std::vector<Job>& jobs) {
    std::vector<std::exception_ptr> failed(jobs.size());
    at::parallel_for(0, static_cast<int64_t>(jobs.size()), 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const auto& job = jobs[static_cast<size_t>(i)];
            try {
                read_frame_files(job.split->folder, *job.reading, *job.frame);
            } catch (...) {
                failed[static_cast<size_t>(i)] = std::current_exception();
            }
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

}  // namespace

Capture read_people_snapshot(const CaptureOptions& options,
                             const std::map<std::string, std::string>& modalities,
                             const CaptureParts& parts) {
    Capture capture;
    auto splits = detail::read_splits(options, parts, capture.notes);
    auto& train = splits.front();
    const auto body = options.body.empty() ? std::nullopt : std::optional(body_sizes(options.body));
    if (body) check_body_sizes(splits, *body, options.body);
    unify_betas(splits, options, body ? body->betas : 0, capture);

    FrameReading bare;
    bare.downscale = options.downscale;
    bare.truth = parts.truth;
    FrameReading full = bare;
    const bool priors = parts.priors && is_wanted(parts, "train");
    if (priors) find_priors(options.root, modalities, full, capture.notes);
    if (!full.semantic.empty()) capture.label_set = full.format.label_set;
    // A fit of 22 joints lacks SMPL's two hand joints.
    const int64_t joint_count =
        body ? body->joints : std::max<int64_t>(24, 1 + train.poses.body_pose.size(1) / 3);
    std::string counts;
    std::vector<Job> jobs;
    for (const auto& split : splits) {
        auto& frames = capture.splits[split.name] = make_frames(split, train, joint_count);
        counts +=
            fmt::format("{}{} {}", counts.empty() ? "" : ", ", split.names.size(), split.name);
        for (auto& frame : frames) {
            if (is_wanted(parts, split.name))
                jobs.push_back({&frame, &split, &split == &train ? &full : &bare});
            else
                shrink_camera(split.folder, options.downscale, frame);
        }
    }
    check_frames_memory(jobs, options, capture.notes);
    read_all(jobs);
    if (priors) check_features(full, capture.splits["train"]);
    const auto& camera = capture.splits["train"].front().camera;
    capture.description = fmt::format(
        "PeopleSnapshot in InstantAvatar's layout: {} frames at {}x{}; poses from {} ({})", counts,
        camera.width, camera.height, train.pose_path.filename().string(), train.poses.layout);
    return capture;
}

}  // namespace fmgs
