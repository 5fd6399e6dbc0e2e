#include <fmgs/data/snapshot_splits.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/names.h>
#include <fmgs/data/people_snapshot.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <sstream>

namespace fmgs {

namespace fs = std::filesystem;
using detail::Names;
using detail::Split;

namespace {

Names list_images(const fs::path& folder) {
    Names names;
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(folder, code)) {
        if (is_picture(entry.path())) names.push_back(entry.path().stem());
    }
    if (code || names.empty())
        throw Error(fmt::format("{}: expected a folder of pictures (.png or .jpg), got {}",
                                folder.string(), code ? code.message() : "none"));
    std::sort(names.begin(), names.end(), natural_less);
    return names;
}

Names read_names(const fs::path& file) {
    Names names;
    std::istringstream stream(read_text(file));
    for (std::string line; std::getline(stream, line);) {
        while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back())))
            line.pop_back();
        const fs::path name(line);
        if (is_picture(name)) line = (name.parent_path() / name.stem()).string();
        if (!line.empty()) names.push_back(line);
    }
    if (names.empty())
        throw Error(fmt::format("{}: expected one image name per line, got none", file.string()));
    std::set<std::string> seen;
    for (const auto& name : names)
        if (!seen.insert(name).second)
            throw Error(fmt::format("{}: the frame '{}' is named twice", file.string(), name));
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
        if (is_there(file)) return file;
    }
    return root / "poses.npz";
}

// The row of the pose file that belongs to each name; a note where the order alone tells.
void link_rows(Split& split, const Names& images, Names& notes) {
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
    if (!poses.names.empty()) return;
    notes.push_back(fmt::format(
        "{}: no frame_names in it; row {} is taken for picture '{}', and so on to row {} for '{}'",
        split.pose_path.string(), split.rows.front(), split.names.front(), split.rows.back(),
        split.names.back()));
}

bool has_split(const fs::path& root, const std::string& name) {
    if (name == "test_view" || name == "novel_motion") return is_there(root / name);
    return name == "train" || find_poses(root, name).filename() != "poses.npz" ||
           is_there(root / "splits" / (name + ".txt"));
}

// train and test share the images and the cameras of the root folder.
Split read_root_split(const fs::path& root, const std::string& name, const Names& images,
                      const CameraFile& cameras, Names& notes) {
    Split split;
    split.name = name;
    split.folder = root;
    split.pose_path = find_poses(root, name);
    split.cameras = cameras;
    if (!is_there(split.pose_path))
        throw Error(
            fmt::format("{}: no poses of split '{}'; expected poses/anim_nerf_{}.npz, poses/{}.npz "
                        "or poses.npz",
                        root.string(), name, name, name));
    split.poses = read_pose_file(split.pose_path);
    const fs::path list = root / "splits" / (name + ".txt");
    if (is_there(list)) {
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
    link_rows(split, images, notes);
    split.camera_count = static_cast<int64_t>(images.size());
    for (const auto& frame : split.names)
        split.cameras_at.push_back(std::max<int64_t>(0, position(images, frame)));
    return split;
}

// test_view and novel_motion are captures of their own: a camera and a pose per frame.
Split read_sub_capture(const fs::path& root, const std::string& name, Names& notes) {
    Split split;
    split.name = name;
    split.folder = root / name;
    split.pose_path = split.folder / "poses.npz";
    split.cameras = read_camera_file(split.folder / "cameras.npz");
    split.poses = read_pose_file(split.pose_path);
    const Names images = list_images(split.folder / "images");
    split.names = split.poses.names.empty() ? images : split.poses.names;
    link_rows(split, images, notes);
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

}  // namespace

std::vector<std::string> people_snapshot_splits(const fs::path& root) {
    Names names;
    for (const char* name : {"train", "test", "test_view", "novel_motion"}) {
        if (has_split(root, name)) names.emplace_back(name);
    }
    return names;
}

namespace detail {

bool is_wanted(const CaptureParts& parts, const std::string& split) {
    return parts.splits.empty() ||
           std::find(parts.splits.begin(), parts.splits.end(), split) != parts.splits.end();
}

std::vector<Split> read_splits(const CaptureOptions& options, const CaptureParts& parts,
                               Names& notes) {
    const fs::path root = options.root;
    const auto existing = people_snapshot_splits(root);
    for (const auto& name : parts.splits) check_known(root.string(), "split", name, existing);
    const CameraFile cameras = read_camera_file(root / "cameras.npz");
    const Names images = list_images(root / "images");
    std::vector<Split> splits;
    for (const auto& name : existing) {
        if (name != "train" && !is_wanted(parts, name)) continue;
        const bool in_root = name == "train" || name == "test";
        splits.push_back(in_root ? read_root_split(root, name, images, cameras, notes)
                                 : read_sub_capture(root, name, notes));
    }
    select_train(splits.front(), options);
    return splits;
}

}  // namespace detail

}  // namespace fmgs
