// ZJU-MoCap and PeopleSnapshot as ARAH prepares them and 3DGS-Avatar reads them.
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/layouts/fields.h>
#include <fmgs/data/layouts/frame_set.h>
#include <fmgs/data/layouts/layouts.h>
#include <fmgs/data/layouts/snapshot_camera.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

std::vector<std::string> camera_names(const Fields& params) {
    const auto names = params.at("all_cam_names");
    const auto out = names.strings();
    if (out.empty()) throw Error(fmt::format("{}: expected cameras, got none", names.what));
    return out;
}

SourceCamera read_camera(const Fields& in) {
    return make_camera({in.numbers("K", {9}), in.numbers("R", {9}), in.numbers("T", {3}),
                        in.optional("D", {4, 5, 8}), PixelCenter::integer},
                       in.what);
}

SourcePose read_pose(const fs::path& file) {
    const Fields in(file);
    return {torch::cat({in.numbers("root_orient", {3}), in.numbers("pose_body", {63}),
                        in.numbers("pose_hand", {6})}),
            in.numbers("trans", {3}), in.numbers("betas", {})};
}

/// A file per frame, NNNNNN.npz: puts numbers and poses into the set; returns the stems.
std::vector<std::string> add_models(const fs::path& folder, FrameSet& set) {
    std::vector<std::string> stems;
    for (const auto& model : list_files(folder, ".npz")) {
        stems.push_back(fs::path(model).stem().string());
        set.numbers.push_back(frame_number(stems.back()));
        if (set.numbers.back() < 0)
            throw Error(fmt::format("{}: expected the number of a frame for its name",
                                    (folder / model).string()));
    }
    set.pose_path = folder;
    set.pose = [folder, stems](size_t k) { return read_pose(folder / (stems[k] + ".npz")); };
    return stems;
}

CaptureSource read_arah(const CaptureRequest& request) {
    const auto root = request.root();
    const Fields params(root / "cam_params.json");
    CaptureSource out;
    out.description = "ZJU-MoCap in ARAH's layout";
    FrameSet set;
    set.cameras = camera_names(params);
    std::vector<SourceCamera> cameras;
    for (const auto& name : set.cameras) cameras.push_back(read_camera(params.at(name)));
    const auto stems = add_models(root / "models", set);
    set.frame = [&](size_t c, size_t k) {
        const auto folder = root / set.cameras[c];
        FrameSource frame;
        frame.name = set.name(c, stems[k]);
        // The picture is the .jpg, its mask the .png beside it.
        frame.picture = folder / (stems[k] + ".jpg");
        frame.mask.files = {folder / (stems[k] + ".png")};
        frame.folder = root;
        frame.camera = cameras[c];
        return frame;
    };
    add_splits(request, set, out);
    out.notes.push_back(center_note(PixelCenter::integer, params.what));
    if (is_there(root / "opt_models"))
        out.notes.push_back(fmt::format("{}: refined poses, which are not taken; models/ is",
                                        (root / "opt_models").string()));
    return out;
}

// The picture of each model: the one at the place that the model's number says, as 3DGS-Avatar
// reads them, or where only the frames that are used are there, the one of that number.
std::vector<std::string> pictures_of(const fs::path& folder, const std::vector<int64_t>& numbers) {
    const auto pictures = list_pictures(folder);
    const auto most = numbers.empty() ? 0 : *std::max_element(numbers.begin(), numbers.end());
    std::vector<std::string> out;
    for (const int64_t number : numbers) {
        if (most < static_cast<int64_t>(pictures.size())) {
            out.push_back(pictures[static_cast<size_t>(number)]);
            continue;
        }
        const auto is_it = [&](const auto& name) { return frame_number(name) == number; };
        const auto found = std::find_if(pictures.begin(), pictures.end(), is_it);
        if (found == pictures.end())
            throw Error(fmt::format("{}: there is no picture of frame {}, which has a pose",
                                    folder.string(), number));
        out.push_back(*found);
    }
    return out;
}

CaptureSource read_snapshot(const CaptureRequest& request) {
    const auto root = request.root();
    CaptureSource out;
    out.description = "PeopleSnapshot in ARAH's layout";
    FrameSet set;
    set.cameras = {""};
    add_models(root / "animnerf_models", set);
    const auto stems = pictures_of(root / "image", set.numbers);
    const Fields calibrated(root / "camera.pkl");
    auto camera = snapshot_camera(calibrated);
    if (!stems.empty()) camera = fit_to_picture(camera, find_picture(root / "image", stems[0]));
    set.frame = [&](size_t, size_t k) {
        FrameSource frame;
        frame.name = stems[k];
        frame.picture = find_picture(root / "image", stems[k]);
        frame.mask.files = {find_mask(root / "mask", stems[k])};
        frame.folder = root;
        frame.camera = camera;
        return frame;
    };
    add_splits(request, set, out);
    out.notes.push_back(center_note(PixelCenter::half, calibrated.what));
    return out;
}

}  // namespace

Layout arah_snapshot_layout() {
    return {"PeopleSnapshot in ARAH's and 3DGS-Avatar's layout", "animnerf_models/",
            [](const fs::path& root) { return is_there(root / "animnerf_models"); }, read_snapshot};
}

Layout arah_layout() {
    return {"ZJU-MoCap in ARAH's and 3DGS-Avatar's layout", "cam_params.json",
            [](const fs::path& root) { return is_there(root / "cam_params.json"); }, read_arah};
}

}  // namespace fmgs
