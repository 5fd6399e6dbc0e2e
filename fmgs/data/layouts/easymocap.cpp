// EasyMocap: intri.yml and extri.yml of OpenCV, fits as JSON.
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/layouts/fields.h>
#include <fmgs/data/layouts/frame_set.h>
#include <fmgs/data/layouts/layouts.h>
#include <fmgs/data/layouts/opencv_yaml.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

torch::Tensor matrix(const OpencvYaml& file, const std::string& key) {
    const auto found = file.matrices.find(key);
    if (found == file.matrices.end())
        throw Error(fmt::format("{}: expected '{}' in it", file.what, key));
    return torch::tensor(found->second, torch::kDouble);
}

SourceCamera read_camera(const OpencvYaml& intri, const OpencvYaml& extri,
                         const std::string& name) {
    CameraNumbers out;
    out.center = PixelCenter::integer;
    out.K = matrix(intri, "K_" + name);
    const std::string dist = intri.matrices.contains("dist_" + name) ? "dist_" : "D_";
    if (intri.matrices.contains(dist + name)) out.dist = matrix(intri, dist + name);
    // Its own reader takes the axis-angle, too.
    if (extri.matrices.contains("R_" + name)) {
        const auto r = matrix(extri, "R_" + name);
        if (r.numel() != 3)
            throw Error(
                fmt::format("{}: R_{}: expected 3 numbers, got {}", extri.what, name, r.numel()));
        out.R = exp_map(r.reshape({1, 3}))[0];
    } else {
        out.R = matrix(extri, "Rot_" + name);
    }
    out.t = matrix(extri, "T_" + name);
    return make_camera(out, fmt::format("{}: camera {}", extri.what, name));
}

fs::path find_fits(const fs::path& root) {
    for (const char* folder :
         {"output/smpl", "smpl", "output-smpl-3d/smpl", "output/smpl3d", "params"}) {
        if (!list_files(root / folder, ".json").empty()) return root / folder;
    }
    throw Error(
        fmt::format("{}: expected fits in output/smpl/ or smpl/ (000000.json, …), there are "
                    "none",
                    root.string()));
}

// The persons of one frame: a list, or below "annots".
std::vector<Fields> persons(const fs::path& file) {
    const Fields whole(file);
    const auto list = whole.has("annots") ? whole.at("annots") : whole;
    std::vector<Fields> out;
    for (int64_t i = 0; i < list.size(); ++i) out.push_back(list.at(i));
    return out;
}

int64_t id_of(const Fields& person) {
    for (const char* key : {"id", "personID"}) {
        if (person.has(key)) return static_cast<int64_t>(person.number(key));
    }
    return 0;
}

SourcePose read_pose(const Fields& in, const RestJoints& rest) {
    auto angles = in.numbers("poses", {69, 72});
    if (angles.numel() == 69) angles = torch::cat({torch::zeros({3}, torch::kDouble), angles});
    const auto betas = in.numbers("shapes", {});
    return pose_of_rh_th(angles, in.numbers("Rh", {3}), in.numbers("Th", {3}),
                         rest.root(betas, in.what), betas);
}

/// The fits of the person that is in most frames.
struct Fits {
    std::vector<Fields> poses;
    std::vector<std::string> stems;
};

Fits read_fits(const fs::path& folder, std::vector<std::string>& notes) {
    std::map<int64_t, Fits> by_person;
    const auto files = list_files(folder, ".json");
    for (const auto& file : files) {
        for (const auto& person : persons(folder / file)) {
            auto& fits = by_person[id_of(person)];
            fits.poses.push_back(person);
            fits.stems.push_back(fs::path(file).stem().string());
        }
    }
    if (by_person.empty())
        throw Error(fmt::format("{}: expected a person in one of {} files, there is none",
                                folder.string(), files.size()));
    const auto most = std::max_element(
        by_person.begin(), by_person.end(),
        [](const auto& a, const auto& b) { return a.second.poses.size() < b.second.poses.size(); });
    if (by_person.size() > 1)
        notes.push_back(fmt::format("{}: {} persons; {} is taken, who is in {} of {} frames",
                                    folder.string(), by_person.size(), most->first,
                                    most->second.poses.size(), files.size()));
    return most->second;
}

std::vector<fs::path> masks_of(const fs::path& root, const std::string& camera,
                               const std::string& stem) {
    for (const char* folder : {"mask", "masks", "mask-schp"}) {
        const auto file = find_mask(root / folder / camera, stem);
        if (is_there(file)) return {file};
    }
    return {root / "mask" / camera / (stem + ".png")};
}

CaptureSource read(const CaptureRequest& request) {
    const auto root = request.root();
    const auto intri = read_opencv_yaml(root / "intri.yml");
    const auto extri = read_opencv_yaml(root / "extri.yml");
    CaptureSource out;
    out.description = "EasyMocap";
    FrameSet set;
    set.cameras = intri.names;
    std::vector<SourceCamera> cameras;
    for (const auto& name : set.cameras) cameras.push_back(read_camera(intri, extri, name));
    set.pose_path = find_fits(root);
    set.place = Place::kRoot;
    const auto fits = read_fits(set.pose_path, out.notes);
    for (const auto& stem : fits.stems) set.numbers.push_back(frame_number(stem));
    const RestJoints& rest = request.rest;
    set.pose = [&](size_t k) { return read_pose(fits.poses[k], rest); };
    set.frame = [&](size_t c, size_t k) {
        FrameSource frame;
        frame.name = set.name(c, fits.stems[k]);
        frame.picture = find_picture(root / "images" / set.cameras[c], fits.stems[k]);
        frame.mask.files = masks_of(root, set.cameras[c], fits.stems[k]);
        frame.folder = root;
        frame.camera = cameras[c];
        return frame;
    };
    add_splits(request, set, out);
    out.notes.push_back(center_note(PixelCenter::integer, intri.what));
    return out;
}

}  // namespace

Layout easymocap_layout() {
    return {"EasyMocap", "intri.yml with extri.yml",
            [](const fs::path& root) { return is_there(root / "intri.yml"); }, read};
}

}  // namespace fmgs
