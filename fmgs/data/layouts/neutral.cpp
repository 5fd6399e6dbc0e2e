#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/names.h>
#include <fmgs/data/camera_file.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/layouts/layouts.h>
#include <fmgs/data/mask_folder.h>
#include <fmgs/data/pose_links.h>
#include <fmgs/data/split_list.h>
#include <fmgs/data/split_plan.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <sstream>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

int64_t position(const Names& names, const std::string& name) {
    const auto found = std::find(names.begin(), names.end(), name);
    return found == names.end() ? -1 : found - names.begin();
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

fs::path find_poses(const fs::path& root, const std::string& split) {
    for (const auto& file : {root / "poses" / ("anim_nerf_" + split + ".npz"),
                             root / "poses" / (split + ".npz"), root / "poses_optimized.npz"}) {
        if (is_there(file)) return file;
    }
    return root / "poses.npz";
}

bool has_own_poses(const fs::path& root, const std::string& split) {
    return find_poses(root, split).parent_path() != root;
}

/// The pictures of a folder: CAMERA/NAME where there are several cameras.
struct Pictures {
    fs::path folder;
    CameraFile cameras;
    Names names;  // of the frames: of all, or of the first camera
    MaskFolder masks;

    std::string stem(size_t camera, const std::string& name) const {
        return cameras.names.empty() ? name : cameras.names[camera] + "/" + name;
    }
};

Pictures open_pictures(const fs::path& folder, Names& notes) {
    Pictures out{folder, read_camera_file(folder / "cameras.npz"), {}, {folder, notes}};
    const auto& cameras = out.cameras.names;
    out.names = cameras.empty() ? list_pictures_below(folder / "images")
                                : list_pictures(folder / "images" / cameras[0]);
    return out;
}

/// A split on its way: which names, and which row of the poses each has.
struct Linked {
    Names names;
    std::vector<int64_t> rows;
};

// The row of the pose file that belongs to each name; a note where the order alone tells.
Linked link_rows(const SplitSource& split, const Names& names, const PoseLinks& links,
                 const Names& images, Names& notes) {
    const int64_t count = static_cast<int64_t>(names.size()), rows = split.poses.count();
    const auto& linked = links.names;
    const bool by_image =
        linked.empty() && rows != count && rows == static_cast<int64_t>(images.size());
    if (linked.empty() && !by_image && rows != count) {
        throw Error(fmt::format(
            "{}: {} rows of poses for {} frames of split '{}'; expected one row per frame, or "
            "frame_names in the file",
            split.pose_path.string(), rows, count, split.name));
    }
    Linked out;
    for (int64_t i = 0; i < count; ++i) {
        const auto& name = names[static_cast<size_t>(i)];
        const int64_t row = !linked.empty() ? position(linked, name)
                            : by_image      ? position(images, name)
                                            : i;
        if (row < 0)
            throw Error(fmt::format("{}: no pose for frame '{}' of split '{}'",
                                    split.pose_path.string(), name, split.name));
        if (!links.is_valid(row)) continue;
        out.names.push_back(name);
        out.rows.push_back(row);
    }
    if (const size_t left_out = names.size() - out.names.size(); left_out > 0)
        notes.push_back(fmt::format("{}: {} of {} frames are not valid and left out",
                                    split.pose_path.string(), left_out, names.size()));
    if (out.names.empty())
        throw Error(fmt::format("{}: valid: no frame of split '{}' is left",
                                split.pose_path.string(), split.name));
    if (linked.empty())
        notes.push_back(
            fmt::format("{}: no frame_names in it; row {} is taken for picture '{}', and so on to "
                        "row {} for '{}'",
                        split.pose_path.string(), out.rows.front(), out.names.front(),
                        out.rows.back(), out.names.back()));
    return out;
}

FrameSource frame_source(const Pictures& pictures, size_t camera, const std::string& name,
                         int64_t row, int64_t rows) {
    FrameSource frame;
    frame.name = pictures.stem(camera, name);
    frame.picture = find_picture(pictures.folder / "images", frame.name);
    frame.mask = pictures.masks.of(frame.name, frame.picture);
    frame.folder = pictures.folder;
    frame.row = row;
    const auto& cameras = pictures.cameras;
    const int64_t images = static_cast<int64_t>(pictures.names.size());
    if (!cameras.names.empty()) {
        frame.camera = cameras.camera(static_cast<int64_t>(camera),
                                      static_cast<int64_t>(cameras.names.size()));
    } else if (!cameras.has_rows(images) && cameras.has_rows(rows)) {
        frame.camera = cameras.camera(row, rows);  // as many as poses, fewer than pictures
    } else {
        frame.camera = cameras.camera(std::max<int64_t>(0, position(pictures.names, name)), images);
    }
    return frame;
}

// The names that a published list gives this split, by the numbers in them.
std::optional<Names> listed_names(const std::vector<SplitRule>& rules, const std::string& split,
                                  const Names& images, const std::string& list) {
    Names names;
    bool listed = false;
    for (const auto& rule : rules) {
        if (rule.split != split) continue;
        listed = true;
        for (const auto& image : images) {
            if (rule.holds(rule.first_camera - 1, frame_number(image))) names.push_back(image);
        }
    }
    if (!listed) return std::nullopt;
    if (names.empty())
        throw Error(
            fmt::format("{}: none of the pictures has a number of split '{}'", list, split));
    return names;
}

/// The folder of a subject: one set of pictures and cameras for the splits train and test.
struct Subject {
    const CaptureRequest& request;
    Pictures pictures;
    std::vector<SplitRule> rules;
    Names* notes;

    Names names_of(const SplitSource& split, const PoseLinks& links) const;
    SplitSource read(const std::string& name) const;
};

Names Subject::names_of(const SplitSource& split, const PoseLinks& links) const {
    const fs::path root = request.root(), list = root / "splits" / (split.name + ".txt");
    if (auto listed = listed_names(rules, split.name, pictures.names, request.options.splits))
        return *listed;
    if (is_there(list)) return read_names(list);
    if (!links.names.empty()) return links.names;
    if (split.name == "train" && split.poses.count() == static_cast<int64_t>(pictures.names.size()))
        return pictures.names;
    throw Error(fmt::format(
        "{}: {} rows of poses in {}, {} images, and nothing says which belong together; write one "
        "image name per line into {}, or set data.splits to the list of a published protocol "
        "(configs/splits/)",
        root.string(), split.poses.count(), split.pose_path.filename().string(),
        pictures.names.size(), list.string()));
}

SplitSource Subject::read(const std::string& name) const {
    const fs::path root = request.root();
    SplitSource split;
    split.name = name;
    split.pose_path = find_poses(root, name);
    if (!is_there(split.pose_path))
        throw Error(
            fmt::format("{}: no poses of split '{}'; expected poses/anim_nerf_{}.npz, poses/{}.npz "
                        "or poses.npz",
                        root.string(), name, name, name));
    split.poses = read_poses(split.pose_path, request.rest);
    const auto links = read_pose_links(split.pose_path, split.poses, pictures.names);
    const auto linked = link_rows(split, names_of(split, links), links, pictures.names, *notes);
    for (size_t i = 0; i < linked.names.size(); ++i)
        split.frames.push_back(
            frame_source(pictures, 0, linked.names[i], linked.rows[i], split.poses.count()));
    return split;
}

// test_view and novel_motion are captures of their own: a camera and a pose per frame.
SplitSource read_sub_capture(const CaptureRequest& request, const std::string& name, Names& notes) {
    const auto root = request.root();
    SplitSource split;
    split.name = name;
    split.pose_path = root / name / "poses.npz";
    const auto pictures = open_pictures(root / name, notes);
    split.poses = read_poses(split.pose_path, request.rest);
    const auto links = read_pose_links(split.pose_path, split.poses, pictures.names);
    const auto linked = link_rows(split, links.names.empty() ? pictures.names : links.names, links,
                                  pictures.names, notes);
    auto own = pictures;
    if (!links.names.empty()) own.names = links.names;
    for (size_t i = 0; i < linked.names.size(); ++i)
        split.frames.push_back(
            frame_source(own, 0, linked.names[i], linked.rows[i], split.poses.count()));
    return split;
}

// The splits that splits/*.txt name, CAMERA/NAME per line.
std::map<std::string, std::vector<FramePick>> listed_frames(const fs::path& root,
                                                            const Names& cameras,
                                                            const Names& frames) {
    std::map<std::string, std::vector<FramePick>> out;
    for (const char* split : {"train", "test", "test_view", "novel_motion"}) {
        const fs::path list = root / "splits" / (std::string(split) + ".txt");
        if (!is_there(list)) continue;
        for (const auto& line : read_names(list)) {
            const fs::path name(line);
            const int64_t camera = position(cameras, name.parent_path().string());
            const int64_t frame = position(frames, name.filename().string());
            if (camera < 0 || frame < 0)
                throw Error(fmt::format(
                    "{}: expected CAMERA/NAME of a camera in cameras.npz and a frame with a pose, "
                    "got '{}'",
                    list.string(), line));
            out[split].push_back({static_cast<size_t>(camera), static_cast<size_t>(frame)});
        }
    }
    return out;
}

// Several cameras, images/CAMERA/NAME: one trains, the others are held out, or as lists say.
void read_cameras(const CaptureRequest& request, const Pictures& pictures, CaptureSource& out) {
    const fs::path file = find_poses(request.root(), "train");
    SplitSource all;
    all.name = "train";
    all.pose_path = file;
    all.poses = read_poses(file, request.rest);
    const auto links = read_pose_links(file, all.poses, pictures.names);
    const auto linked = link_rows(all, links.names.empty() ? pictures.names : links.names, links,
                                  pictures.names, out.notes);
    std::vector<int64_t> numbers;
    for (size_t i = 0; i < linked.names.size(); ++i) {
        const int64_t number = frame_number(linked.names[i]);
        numbers.push_back(number < 0 ? static_cast<int64_t>(i) : number);
    }
    const auto& cameras = pictures.cameras.names;
    const auto listed = listed_frames(request.root(), cameras, linked.names);
    for (const auto& pick : pick_splits(request, cameras, numbers, listed, out.notes)) {
        SplitSource split{pick.name, file, all.poses, {}};
        for (const auto& at : pick.frames)
            split.frames.push_back(frame_source(pictures, at.camera, linked.names[at.frame],
                                                linked.rows[at.frame], all.poses.count()));
        out.splits.push_back(split);
    }
}

CaptureSource read_neutral(const CaptureRequest& request) {
    const fs::path root = request.root();
    CaptureSource out;
    const auto pictures = open_pictures(root, out.notes);
    if (!pictures.cameras.names.empty()) {
        read_cameras(request, pictures, out);
    } else {
        const auto rules = subject_rules(request, out.notes);
        const Subject subject{request, pictures, rules, &out.notes};
        Names existing = {"train"};
        const auto listed = split_names(rules);
        if (has_own_poses(root, "test") || is_there(root / "splits/test.txt") ||
            position(listed, "test") >= 0)
            existing.emplace_back("test");
        for (const char* name : {"test_view", "novel_motion"}) {
            if (is_there(root / name)) existing.emplace_back(name);
        }
        request.check_splits(existing);
        for (const auto& name : existing) {
            if (!request.is_wanted(name)) continue;
            const bool in_root = name == "train" || name == "test";
            out.splits.push_back(in_root ? subject.read(name)
                                         : read_sub_capture(request, name, out.notes));
        }
    }
    if (!pictures.cameras.says_center)
        out.notes.push_back(fmt::format(
            "{}: no pixel_center in it; the centre of the first pixel is taken to be at "
            "(0.5, 0.5)",
            pictures.cameras.file.string()));
    out.description = "PeopleSnapshot in InstantAvatar's layout";
    return out;
}

}  // namespace

Layout neutral_layout() {
    return {"InstantAvatar's layout of PeopleSnapshot, or our own", "cameras.npz with images/",
            [](const fs::path& root) { return is_there(root / "cameras.npz"); }, read_neutral};
}

}  // namespace fmgs
