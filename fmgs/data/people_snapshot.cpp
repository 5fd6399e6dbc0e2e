#include <fmgs/data/people_snapshot.h>

#include <ATen/Parallel.h>
#include <fmgs/core/body_model.h>
#include <fmgs/core/check.h>
#include <fmgs/data/frame_files.h>
#include <fmgs/data/pose_file.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <optional>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

// One split on disk: which pictures, and which row of the pose file each of them shows.
struct Split {
    std::string name;
    fs::path folder;
    fs::path pose_path;
    PoseFile poses;
    CameraFile cameras;
    Names names;
    std::vector<int64_t> rows;        // of the pose file
    std::vector<int64_t> cameras_at;  // of cameras.npz
    int64_t camera_count = 1;
};

Names list_images(const fs::path& folder) {
    Names names;
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(folder, code)) {
        const auto extension = entry.path().extension();
        if (extension == ".png" || extension == ".jpg" || extension == ".jpeg")
            names.push_back(entry.path().stem());
    }
    if (code || names.empty())
        throw Error(
            fmt::format("{}: expected a folder of pictures (.png or .jpg)", folder.string()));
    std::sort(names.begin(), names.end());
    return names;
}

Names read_names(const fs::path& file) {
    Names names;
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) {
        while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back())))
            line.pop_back();
        if (line.ends_with(".png") || line.ends_with(".jpg")) line.resize(line.size() - 4);
        if (!line.empty()) names.push_back(line);
    }
    if (names.empty())
        throw Error(fmt::format("{}: expected one image name per line, got none", file.string()));
    return names;
}

// The frames that InstantAvatar takes of the published subjects, ends inclusive.
std::optional<Names> known_split(const std::string& subject, const std::string& split,
                                 const Names& images) {
    struct Range {
        const char *subject, *split;
        size_t first, last, step;
    };
    static constexpr Range kRanges[] = {
        {"male-3-casual", "train", 0, 455, 4},   {"male-3-casual", "test", 456, 675, 4},
        {"male-4-casual", "train", 0, 659, 6},   {"male-4-casual", "test", 660, 872, 6},
        {"female-3-casual", "train", 0, 445, 4}, {"female-3-casual", "test", 446, 647, 4},
        {"female-4-casual", "train", 0, 335, 4}, {"female-4-casual", "test", 335, 523, 4}};
    for (const auto& range : kRanges) {
        if (subject != range.subject || split != range.split) continue;
        Names names;
        for (size_t i = range.first; i <= range.last && i < images.size(); i += range.step)
            names.push_back(images[i]);
        return names;
    }
    return std::nullopt;
}

int64_t position(const Names& names, const std::string& name) {
    const auto found = std::find(names.begin(), names.end(), name);
    return found == names.end() ? -1 : found - names.begin();
}

fs::path find_poses(const fs::path& root, const std::string& split) {
    for (const auto& file :
         {root / "poses" / ("anim_nerf_" + split + ".npz"), root / "poses" / (split + ".npz")}) {
        if (fs::exists(file)) return file;
    }
    return root / "poses.npz";
}

// The row of the pose file that belongs to each name.
void link_rows(Split& split, const Names& images) {
    const auto& poses = split.poses;
    const int64_t count = static_cast<int64_t>(split.names.size());
    const bool by_image = poses.names.empty() && poses.count() != count &&
                          poses.count() == static_cast<int64_t>(images.size());
    if (poses.names.empty() && !by_image && poses.count() != count) {
        throw Error(fmt::format(
            "{}: {} rows of poses for {} frames of split '{}'; expected one row per frame, or "
            "frame_names in the file",
            split.pose_path.string(), poses.count(), count, split.name));
    }
    for (int64_t i = 0; i < count; ++i) {
        const auto& name = split.names[static_cast<size_t>(i)];
        const int64_t row = !poses.names.empty() ? position(poses.names, name)
                            : by_image           ? position(images, name)
                                                 : i;
        if (row < 0)
            throw Error(fmt::format("{}: no pose for frame '{}' of split '{}'",
                                    split.pose_path.string(), name, split.name));
        split.rows.push_back(row);
    }
}

// train and test share the images and the cameras of the root folder.
std::optional<Split> find_root_split(const fs::path& root, const std::string& name,
                                     const Names& images, const CameraFile& cameras) {
    Split split;
    split.name = name;
    split.folder = root;
    split.pose_path = find_poses(root, name);
    split.cameras = cameras;
    const fs::path list = root / "splits" / (name + ".txt");
    const bool own_poses = split.pose_path.filename() != "poses.npz";
    if (name != "train" && !own_poses && !fs::exists(list)) return std::nullopt;
    split.poses = read_pose_file(split.pose_path);
    if (fs::exists(list)) {
        split.names = read_names(list);
    } else if (auto known = known_split(fs::weakly_canonical(root).filename(), name, images)) {
        split.names = *known;
    } else if (!split.poses.names.empty()) {
        split.names = split.poses.names;
    } else if (name == "train" && split.poses.count() == static_cast<int64_t>(images.size())) {
        split.names = images;
    } else {
        throw Error(fmt::format(
            "{}: {} rows of poses in {}, {} images, and nothing says which belong together; write "
            "one image name per "
            "line into {}",
            root.string(), split.poses.count(), split.pose_path.filename().string(), images.size(),
            list.string()));
    }
    link_rows(split, images);
    split.camera_count = static_cast<int64_t>(images.size());
    for (const auto& frame : split.names)
        split.cameras_at.push_back(std::max<int64_t>(0, position(images, frame)));
    return split;
}

// test_view and novel_motion are captures of their own: a camera and a pose per frame.
std::optional<Split> find_sub_capture(const fs::path& root, const std::string& name) {
    const fs::path folder = root / name;
    if (!fs::exists(folder)) return std::nullopt;
    Split split;
    split.name = name;
    split.folder = folder;
    split.pose_path = folder / "poses.npz";
    split.cameras = read_camera_file(folder / "cameras.npz");
    split.poses = read_pose_file(split.pose_path);
    const Names images = list_images(folder / "images");
    split.names = split.poses.names.empty() ? images : split.poses.names;
    link_rows(split, images);
    split.camera_count = static_cast<int64_t>(split.names.size());
    for (int64_t i = 0; i < split.camera_count; ++i) split.cameras_at.push_back(i);
    return split;
}

void select_train(Split& train, const CaptureOptions& options) {
    const int64_t count = static_cast<int64_t>(train.names.size());
    const int64_t last = options.last < 0 ? count - 1 : options.last;
    if (options.first < 0 || options.stride < 1 || options.first > last || last >= count) {
        throw Error(fmt::format(
            "data.first, last, stride: expected 0 <= first <= last < {} (train frames of {}) and "
            "stride >= 1, got {}, {}, {}",
            count, options.root, options.first, options.last, options.stride));
    }
    Split kept = train;
    kept.names.clear();
    kept.rows.clear();
    kept.cameras_at.clear();
    for (int64_t i = options.first; i <= last; i += options.stride) {
        const auto at = static_cast<size_t>(i);
        kept.names.push_back(train.names[at]);
        kept.rows.push_back(train.rows[at]);
        kept.cameras_at.push_back(train.cameras_at[at]);
    }
    train = std::move(kept);
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
void unify_betas(std::vector<Split>& splits, const CaptureOptions& options, Capture& capture) {
    auto& betas = splits.front().poses.betas;
    if (!betas.defined()) {
        betas = torch::zeros({10});
        capture.notes.push_back(splits.front().pose_path.string() +
                                ": no betas; the mean shape is taken");
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

FrameReading find_priors(const fs::path& root, int64_t downscale,
                         const std::map<std::string, std::string>& modalities,
                         std::vector<std::string>& notes) {
    FrameReading out;
    out.downscale = downscale;
    const fs::path priors = root / "priors";
    if (fs::exists(priors / "priors.json")) {
        out.format = read_prior_format(priors / "priors.json");
    } else if (fs::exists(priors)) {
        notes.push_back(
            priors.string() +
            ": no priors.json; normals, depth and labels are read in Sapiens' conventions");
    }
    const auto take = [&](const fs::path& folder, const std::string& name) {
        if (fs::is_directory(folder)) return folder;
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
    return out;
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

// Decodes all frames on all cores; the first frame in order that fails is the one that is reported.
void read_all(const std::vector<Split>& splits, const FrameReading& reading, Capture& capture) {
    struct Job {
        Frame* frame;
        const Split* split;
    };
    std::vector<Job> jobs;
    for (const auto& split : splits) {
        for (auto& frame : capture.splits[split.name]) jobs.push_back({&frame, &split});
    }
    FrameReading bare;
    bare.downscale = reading.downscale;
    std::vector<std::exception_ptr> failed(jobs.size());
    at::parallel_for(0, static_cast<int64_t>(jobs.size()), 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const auto& job = jobs[static_cast<size_t>(i)];
            try {
                read_frame_files(job.split->folder, job.split->name == "train" ? reading : bare,
                                 *job.frame);
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
                             const std::map<std::string, std::string>& modalities) {
    const fs::path root = options.root;
    const CameraFile cameras = read_camera_file(root / "cameras.npz");
    const Names images = list_images(root / "images");
    std::vector<Split> splits;
    for (const char* name : {"train", "test"}) {
        if (auto split = find_root_split(root, name, images, cameras))
            splits.push_back(std::move(*split));
    }
    for (const char* name : {"test_view", "novel_motion"}) {
        if (auto split = find_sub_capture(root, name)) splits.push_back(std::move(*split));
    }
    select_train(splits.front(), options);

    Capture capture;
    unify_betas(splits, options, capture);
    const FrameReading reading = find_priors(root, options.downscale, modalities, capture.notes);
    if (!reading.semantic.empty()) capture.label_set = reading.format.label_set;
    // A fit of 22 joints lacks SMPL's two hand joints.
    const int64_t joint_count =
        std::max<int64_t>(24, 1 + splits.front().poses.body_pose.size(1) / 3);
    std::string counts;
    for (const auto& split : splits) {
        capture.splits[split.name] = make_frames(split, splits.front(), joint_count);
        counts +=
            fmt::format("{}{} {}", counts.empty() ? "" : ", ", split.names.size(), split.name);
    }
    read_all(splits, reading, capture);
    check_features(reading, capture.splits["train"]);
    const auto& camera = capture.splits["train"].front().camera;
    capture.description = fmt::format(
        "PeopleSnapshot in InstantAvatar's layout: {} frames at {}x{}; poses from {} ({})", counts,
        camera.width, camera.height, splits.front().pose_path.filename().string(),
        splits.front().poses.layout);
    return capture;
}

}  // namespace fmgs
