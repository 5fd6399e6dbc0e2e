#include <fmgs/data/capture.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/memory.h>
#include <fmgs/data/cache/frame_store.h>
#include <fmgs/data/capture_checks.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace fmgs {

namespace fs = std::filesystem;

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

namespace {

bool is_read(const CaptureParts& parts, const std::string& split) {
    return (parts.splits.empty() && (parts.train || split != "train")) ||
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

std::vector<Frame> make_heads(const SplitSource& split, const SplitSource& train,
                              const FrameReading& reading, int64_t joint_count) {
    std::vector<Frame> heads(split.frames.size());
    const auto indices =
        &split == &train ? std::vector<int64_t>() : train_indices(split, pose_matrix(train));
    for (size_t i = 0; i < heads.size(); ++i) {
        const auto& source = split.frames[i];
        heads[i].name = source.name;
        heads[i].index = &split == &train ? static_cast<int64_t>(i) : indices[i];
        heads[i].pose = split.poses.pose(source.row, joint_count);
        heads[i].camera = frame_camera(source, reading);
    }
    return heads;
}

// What headers tell of a frame is checked; then the store can decode it. Returns its number there.
size_t open_frame(const FrameSource& source, const std::shared_ptr<const FrameReading>& reading,
                  FrameStore& store) {
    const auto bytes = frame_bytes(source, *reading);
    const auto camera = frame_camera(source, *reading);
    check_memory(
        bytes.decoded,
        fmt::format("{}: a frame of {}x{}", source.picture.string(), camera.width, camera.height),
        "use a larger data.downscale");
    check_frame_files(source, *reading);
    const auto decode = [source, reading] {
        Frame frame;
        read_frame_files(source, *reading, frame);
        return compact(frame);
    };
    return store.add(decode, bytes.kept,
                     source.video_frame < 0 ? std::string() : source.picture.string());
}

void check_features(const FrameReading& reading, const std::vector<FrameSource>& frames) {
    for (const auto& [name, folder] : reading.features) {
        const auto file = [&](const FrameSource& frame) { return folder / (frame.name + ".npy"); };
        const int64_t channels = feature_channels(file(frames.front()));
        for (const auto& frame : frames) {
            const int64_t got = feature_channels(file(frame));
            if (got == channels) continue;
            throw Error(fmt::format("{}: expected {} channels as in the first frame, got {}",
                                    file(frame).string(), channels, got));
        }
    }
}

// Bytes of decoded frames that stay.
double frame_budget(const CaptureOptions& options) {
    return options.memory > 0 ? 1e9 * options.memory : 0.5 * free_memory();
}

// Says when not all frames stay.
void note_memory(const FrameStore& store, double budget, const CaptureOptions& options,
                 bool from_video, Names& notes) {
    const auto count = store.use().frames, kept = store.planned();
    if (kept == count) return;
    notes.push_back(fmt::format(
        "{}: {} of {} frames stay in memory ({} of it), the others are decoded again each "
        "time{}; raise data.memory, or use data.downscale or data.stride",
        options.root, kept, count, memory_text(budget),
        from_video ? ", from the beginning of the video" : ""));
}

// Frames of all splits; those that are asked for have maps. Returns "3 train, 2 test".
std::string open_frames(const std::vector<SplitSource>& splits, const CaptureOptions& options,
                        const CaptureParts& parts, const FrameReading& full, int64_t joint_count,
                        Capture& capture) {
    FrameReading plain;
    plain.downscale = full.downscale;
    plain.truth = full.truth;
    plain.decoders = full.decoders;
    const auto of_train = std::make_shared<const FrameReading>(full);
    const auto of_others = std::make_shared<const FrameReading>(plain);
    const double budget = frame_budget(options);
    const auto store = std::make_shared<FrameStore>(budget);
    std::string counts;
    bool from_video = false;
    for (const auto& split : splits) {
        const auto& reading = &split == &splits.front() ? of_train : of_others;
        FrameList frames(store);
        auto heads = make_heads(split, splits.front(), *reading, joint_count);
        for (size_t i = 0; i < heads.size(); ++i) {
            const auto& source = split.frames[i];
            if (is_read(parts, split.name))
                frames.push_back(std::move(heads[i]), open_frame(source, reading, *store));
            else
                frames.push_back(std::move(heads[i]));
            from_video |= source.video_frame >= 0;
        }
        counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", frames.size(), split.name);
        capture.splits[split.name] = std::move(frames);
    }
    note_memory(*store, budget, options, from_video, capture.notes);
    return counts;
}

}  // namespace

CaptureParts training_parts() { return {.splits = {"train"}, .truth = false}; }

CaptureParts held_out_parts() { return {.priors = false, .train = false}; }

fs::path find_true_mesh(const fs::path& root, const std::string& split, const std::string& frame) {
    const auto folder = is_there(root / split) ? root / split : root;
    for (const char* extension : {".ply", ".obj"}) {
        auto file = folder / "gt" / "mesh" / (frame + extension);
        if (is_there(file)) return file;
    }
    return {};
}

bool is_capture(const fs::path& root) { return find_layout(root) != nullptr; }

OpenCapture open_capture(CaptureSource source, const CaptureOptions& options,
                         const std::map<std::string, std::string>& modalities,
                         const CaptureParts& parts, const RestJoints& rest) {
    OpenCapture out;
    auto& train = source.splits.front();
    select_train(train, options);
    for (auto& split : source.splits)
        split.poses = with_smpl_transl(split.poses, rest, split.pose_path.string());
    check_units(source.splits);
    if (rest.has_body()) out.body = rest.body(options.root);
    const auto* body = out.body.get();
    if (body) check_body_sizes(source.splits, *body, options.body);
    out.betas =
        unify_betas(source.splits, rest, body ? body->shape_directions.size(2) : 0, source.notes);
    auto& reading = out.reading;
    reading.downscale = options.downscale;
    reading.truth = parts.truth;
    reading.decoders = make_decoders();
    if (parts.priors && is_read(parts, "train"))
        find_priors(options.root, modalities, reading, source.notes);
    // A fit of 22 joints lacks SMPL's two hand joints.
    out.joint_count =
        body ? body->weights.size(1) : std::max<int64_t>(24, 1 + train.poses.body_pose.size(1) / 3);
    out.source = std::move(source);
    return out;
}

Capture read_capture(const CaptureOptions& options,
                     const std::map<std::string, std::string>& modalities,
                     const CaptureParts& parts) {
    const RestJoints rest(options.body);
    const auto open = open_capture(layout_of(options.root).read({options, parts, rest}), options,
                                   modalities, parts, rest);
    const auto& [source, betas, body, reading, joint_count] = open;
    const auto& train = source.splits.front();
    Capture capture;
    capture.notes = source.notes;
    capture.betas = betas;
    capture.body = body;
    capture.prior_format = reading.format;
    if (!reading.semantic.empty()) capture.label_set = reading.format.label_set;
    const auto counts = open_frames(source.splits, options, parts, reading, joint_count, capture);
    if (!reading.features.empty()) check_features(reading, train.frames);
    const auto& camera = capture.splits["train"].heads().front().camera;
    capture.description =
        fmt::format("{}: {} frames at {}x{}; poses from {}{}", source.description, counts,
                    camera.width, camera.height, train.pose_path.filename().string(),
                    train.poses.layout.empty() ? "" : fmt::format(" ({})", train.poses.layout));
    return capture;
}

}  // namespace fmgs
