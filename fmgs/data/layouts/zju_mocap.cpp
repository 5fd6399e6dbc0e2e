// ZJU-MoCap as NeuralBody released it (raw), and as instant-nvr refined it.
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/layouts/fields.h>
#include <fmgs/data/layouts/frame_set.h>
#include <fmgs/data/layouts/layouts.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

// Written on Windows, too.
fs::path slashes(std::string path) {
    std::replace(path.begin(), path.end(), '\\', '/');
    return path;
}

bool is_number(const std::string& text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

/// annots.npy, and where its parts lie.
struct Subject {
    fs::path root;
    Fields cams;
    std::vector<std::vector<fs::path>> pictures;  // [frame][camera], relative
    fs::path params;
    std::vector<std::string> cameras;
    bool refined;

    fs::path params_file(int64_t number) const {
        return root / params / (std::to_string(number) + ".npy");
    }
    /// The name of a frame's parameters: its number in the picture's name, which other names (of
    /// 313 and 315) have among others; theirs and their parameters count from 1.
    int64_t params_number(size_t frame) const {
        const auto stem = pictures[frame][0].stem().string();
        if (is_number(stem)) return frame_number(stem);
        return static_cast<int64_t>(frame) + (is_there(params_file(0)) ? 0 : 1);
    }
};

std::vector<std::vector<fs::path>> read_pictures(const Fields& ims) {
    std::vector<std::vector<fs::path>> pictures;
    for (int64_t i = 0; i < ims.size(); ++i) {
        const auto frame = ims.at(i).at("ims");
        auto& row = pictures.emplace_back();
        for (const auto& path : frame.strings()) row.push_back(slashes(path));
        if (row.empty() || row.size() != pictures.front().size())
            throw Error(fmt::format("{}: expected {} pictures as in the first frame, got {}",
                                    frame.what, pictures.front().size(), row.size()));
    }
    if (pictures.empty()) throw Error(fmt::format("{}: expected frames, got none", ims.what));
    return pictures;
}

Subject open_subject(const fs::path& root) {
    const Fields annots(root / "annots.npy");
    Subject out{root, annots.at("cams"), read_pictures(annots.at("ims")), {}, {}, false};
    for (const char* folder : {"new_params", "params", "smpl_params"}) {
        if (!is_there(root / folder)) continue;
        out.params = folder;
        out.refined = std::string(folder) == "smpl_params";
        break;
    }
    if (out.params.empty())
        throw Error(
            fmt::format("{}: expected new_params/ (raw) or smpl_params/ (refined) with the "
                        "poses, there is neither",
                        root.string()));
    for (const auto& picture : out.pictures.front())
        out.cameras.push_back(picture.parent_path().filename().string());
    const auto count = static_cast<int64_t>(out.cameras.size());
    for (const char* key : {"K", "D", "R", "T"}) {
        if (const int64_t got = out.cams.at(key).size(); got < count)
            throw Error(
                fmt::format("{}: {}: expected {} cameras as there are pictures of a frame, "
                            "got {}",
                            out.cams.what, key, count, got));
    }
    return out;
}

std::vector<SourceCamera> read_cameras(const Subject& subject, std::vector<std::string>& notes) {
    std::vector<SourceCamera> cameras;
    bool metres = false;
    for (size_t c = 0; c < subject.cameras.size(); ++c) {
        const auto i = static_cast<int64_t>(c);
        const auto numbers = [&](const char* key, std::initializer_list<int64_t> counts) {
            return subject.cams.at(key).at(i).numbers(counts);
        };
        auto t = numbers("T", {3});
        // Millimetres; a studio's cameras stand between half a metre and 50 m away.
        constexpr double kFarthest = 50;
        const double away = t.norm().item<double>();
        if (away > kFarthest) t = t / 1000;
        metres |= away > 0 && away <= kFarthest;
        cameras.push_back(
            make_camera({numbers("K", {9}), numbers("R", {9}), t, numbers("D", {4, 5, 8}),
                         PixelCenter::integer},
                        fmt::format("{}: camera {}", subject.cams.what, subject.cameras[c])));
    }
    if (metres)
        notes.push_back(subject.cams.what +
                        ": T is too small for millimetres; it is taken as metres");
    return cameras;
}

SourcePose read_pose(const fs::path& file, const RestJoints& rest) {
    const Fields in(file);
    auto betas = in.numbers("shapes", {});
    if (betas.size(0) > 10) betas = betas.slice(0, 0, 10);  // the refined ones: 16, of SMPL-H
    return pose_of_rh_th(in.angles("poses", 24), in.numbers("Rh", {3}), in.numbers("Th", {3}),
                         rest.root(betas, file.string()), betas);
}

// mask/ and mask_cihp/ below the root, with the path of the picture: the union of what there is.
std::vector<fs::path> find_masks(const fs::path& root, const fs::path& picture) {
    fs::path below = picture;
    if (!picture.empty() && *picture.begin() == "images")
        below = picture.lexically_relative("images");
    std::vector<fs::path> files;
    for (const char* folder : {"mask", "mask_cihp", "masks"}) {
        for (const auto& path : {picture, below}) {
            const auto file = find_mask(root / folder / path.parent_path(), path.stem().string());
            if (is_there(file) && std::find(files.begin(), files.end(), file) == files.end())
                files.push_back(file);
        }
    }
    if (files.empty()) files.push_back((root / "mask" / below).replace_extension(".png"));
    return files;
}

CaptureSource read_zju(const CaptureRequest& request) {
    const auto subject = open_subject(request.root());
    CaptureSource out;
    out.description = subject.refined ? "ZJU-MoCap, refined" : "ZJU-MoCap, raw";
    const auto cameras = read_cameras(subject, out.notes);
    const RestJoints& rest = request.rest;
    FrameSet set;
    set.cameras = subject.cameras;
    set.pose_path = subject.root / subject.params;
    set.place = Place::kRoot;
    std::vector<size_t> frames;
    for (size_t k = 0; k < subject.pictures.size(); ++k) {
        if (!is_there(subject.params_file(subject.params_number(k)))) continue;
        frames.push_back(k);
        set.numbers.push_back(static_cast<int64_t>(k));
    }
    if (const size_t without = subject.pictures.size() - frames.size(); without > 0)
        out.notes.push_back(fmt::format("{}: {} of {} frames have no pose and are left out",
                                        set.pose_path.string(), without, subject.pictures.size()));
    set.pose = [&](size_t k) {
        return read_pose(subject.params_file(subject.params_number(frames[k])), rest);
    };
    set.frame = [&](size_t c, size_t k) {
        const auto& picture = subject.pictures[frames[k]][c];
        FrameSource frame;
        frame.name = set.name(c, picture.stem().string());
        frame.picture = subject.root / picture;
        frame.mask.files = find_masks(subject.root, picture);
        frame.folder = subject.root;
        frame.camera = cameras[c];
        return frame;
    };
    add_splits(request, set, out);
    out.notes.push_back(center_note(PixelCenter::integer, subject.cams.what));
    return out;
}

}  // namespace

Layout zju_mocap_layout() {
    return {"ZJU-MoCap, raw or refined", "annots.npy",
            [](const fs::path& root) { return is_there(root / "annots.npy"); }, read_zju};
}

}  // namespace fmgs
