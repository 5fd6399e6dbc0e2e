// NeuMan: a COLMAP model, and SMPL fits that are put into it by a similarity per frame.
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/layouts/colmap.h>
#include <fmgs/data/layouts/fields.h>
#include <fmgs/data/layouts/frame_set.h>
#include <fmgs/data/layouts/layouts.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

/// SMPL → scene: x ↦ scale·R·x + t.
struct Similarity {
    torch::Tensor R, t;  // [3,3], [3] double
    double scale = 1;
};

// Of row vectors: (x,1)·A with A [4,3].
Similarity read_similarity(const Fields& in) {
    const auto A = in.numbers({12, 16}).reshape({4, -1});
    const auto linear = A.slice(0, 0, 3).slice(1, 0, 3).t();
    const double det = torch::det(linear).item<double>();
    if (!(det > 0))
        throw Error(
            fmt::format("{}: expected a rotation with a positive scale, its determinant is "
                        "{:g}",
                        in.what, det));
    const double scale = std::cbrt(det);
    return {nearest_rotation(linear / scale, in.what), A[3].slice(0, 0, 3), scale};
}

/// smpl_output_{optimized,romp}.pkl: the track of one person.
struct Track {
    Fields in;
    fs::path file;

    explicit Track(const fs::path& root) : Track(open(root)) {}

  private:
    Track(Fields fields, fs::path path) : in(std::move(fields)), file(std::move(path)) {}
    static Track open(const fs::path& root) {
        for (const char* name : {"smpl_output_optimized.pkl", "smpl_output_romp.pkl"}) {
            if (!is_there(root / name)) continue;
            const Fields all(root / name);
            if (all.has("pose")) return {all, root / name};
            const Fields* longest = nullptr;
            std::vector<Fields> tracks;
            if (all.value.is_dict())
                for (const auto& [key, entry] : all.value.dict())
                    if (entry.contains("pose")) tracks.emplace_back(entry, all.what + ": a track");
            for (const auto& track : tracks) {
                if (!longest || track.at("pose").size() > longest->at("pose").size())
                    longest = &track;
            }
            if (longest) return {*longest, root / name};
            throw Error(fmt::format("{}: expected tracks with 'pose', there is {}", all.what,
                                    all.value.keys()));
        }
        throw Error(
            fmt::format("{}: expected smpl_output_optimized.pkl, there is none", root.string()));
    }
};

/// The names that {train,test}_split.txt give, without extensions.
std::vector<std::string> read_split(const fs::path& file) {
    std::vector<std::string> names;
    if (!is_there(file)) return names;
    std::istringstream words(read_text(file));
    for (std::string word; words >> word;)
        names.push_back(fs::path(word).replace_extension().string());
    return names;
}

SourcePose pose_of(const Track& track, int64_t row, const Similarity& to_scene,
                   const RestJoints& rest) {
    const auto angles = track.in.at("pose").at(row).numbers({72});
    const auto betas_in = track.in.at("betas");
    const bool each = betas_in.value.shape().size() > 1 && betas_in.size() > 1;
    const auto betas = each ? betas_in.at(row).numbers({}) : betas_in.numbers({});
    // The world is COLMAP's, in metres of this frame's body: divided by the scale.
    return pose_of_rh_th(angles, log_map(to_scene.R.unsqueeze(0))[0], to_scene.t / to_scene.scale,
                         rest.root(betas, track.file.string()), betas);
}

/// The pictures of a capture with what each needs.
struct Subject {
    fs::path root;
    std::vector<ColmapPicture> pictures;
    std::vector<Similarity> similarities;
    std::vector<std::string> stems;

    explicit Subject(const fs::path& folder)
        : root(folder), pictures(read_colmap(find_colmap(folder))) {
        const Fields alignments(root / "alignments.npy");
        std::erase_if(pictures, [&](const auto& each) { return !alignments.has(each.name); });
        if (pictures.empty())
            throw Error(fmt::format("{}: none of the pictures of COLMAP's model is in it",
                                    alignments.what));
        for (const auto& each : pictures) {
            similarities.push_back(read_similarity(alignments.at(each.name)));
            stems.push_back(fs::path(each.name).replace_extension().string());
        }
    }

    FrameSource frame(size_t k) const {
        FrameSource out;
        out.name = stems[k];
        out.picture = root / "images" / pictures[k].name;
        out.mask.files = {find_mask(root / "segmentations", stems[k])};
        out.mask.says = MaskSource::Says::background;
        out.folder = root;
        out.camera = pictures[k].camera;
        out.camera.extrinsic = out.camera.extrinsic.clone();
        out.camera.extrinsic.slice(0, 0, 3).select(1, 3).div_(similarities[k].scale);
        return out;
    }
};

CaptureSource read(const CaptureRequest& request) {
    const Subject subject(request.root());
    const Track track(request.root());
    const RestJoints& rest = request.rest;
    // Rows follow all pictures in the order of their names.
    const auto all = list_pictures(subject.root / "images");
    const auto rows = track.in.at("pose").size();
    if (rows != static_cast<int64_t>(all.size()))
        throw Error(fmt::format("{}: {} rows of poses for {} pictures", track.file.string(), rows,
                                all.size()));
    const auto row = [&](size_t k) {
        return std::find(all.begin(), all.end(), subject.stems[k]) - all.begin();
    };
    CaptureSource out;
    out.description = "NeuMan";
    FrameSet set;
    set.cameras = {""};
    set.pose_path = track.file;
    set.place = Place::kRoot;
    for (size_t k = 0; k < subject.stems.size(); ++k) {
        if (row(k) == rows)
            throw Error(fmt::format("{}: there is no such picture",
                                    (subject.root / "images" / subject.pictures[k].name).string()));
        set.numbers.push_back(row(k));
    }
    set.pose = [&](size_t k) { return pose_of(track, row(k), subject.similarities[k], rest); };
    set.frame = [&](size_t, size_t k) { return subject.frame(k); };
    for (const char* name : {"train", "test"}) {
        for (const auto& stem : read_split(subject.root / (std::string(name) + "_split.txt"))) {
            const auto at = std::find(subject.stems.begin(), subject.stems.end(), stem);
            if (at == subject.stems.end())
                throw Error(fmt::format("{}: {}_split.txt: there is no picture '{}' with a pose",
                                        subject.root.string(), name, stem));
            set.listed[name].push_back({0, static_cast<size_t>(at - subject.stems.begin())});
        }
    }
    add_splits(request, set, out);
    out.notes.push_back(
        fmt::format("{}: the scale of each frame's alignment divides its camera's "
                    "translation, so that the body keeps its size",
                    (subject.root / "alignments.npy").string()));
    out.notes.push_back("segmentations: white is taken as the background");
    return out;
}

}  // namespace

Layout neuman_layout() {
    return {"NeuMan", "alignments.npy with sparse/",
            [](const fs::path& root) { return is_there(root / "alignments.npy"); }, read};
}

}  // namespace fmgs
