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

/// NNNNNN.npz, a file per frame.
struct Models {
    std::vector<std::string> stems;
    std::vector<int64_t> numbers;
};

Models list_models(const fs::path& folder) {
    Models out;
    for (const auto& file : list_files(folder, ".npz")) {
        out.stems.push_back(fs::path(file).stem().string());
        out.numbers.push_back(frame_number(out.stems.back()));
        if (out.numbers.back() < 0)
            throw Error(fmt::format("{}: expected the number of a frame for its name",
                                    (folder / file).string()));
    }
    return out;
}

void use_models(const fs::path& folder, const Models& models, FrameSet& set) {
    set.pose_path = folder;
    set.numbers = models.numbers;
    set.pose = [folder, stems = models.stems](size_t k) {
        return read_pose(folder / (stems[k] + ".npz"));
    };
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
    const auto models = list_models(root / "models");
    const auto& stems = models.stems;
    use_models(root / "models", models, set);
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

/// Leaves out the models without a picture, and returns the pictures of the others: those at the
/// place that a model's number says, as 3DGS-Avatar reads them, or where only the frames that are
/// used are there, those of the same number.
std::vector<std::string> pair_pictures(const fs::path& folder, Models& models) {
    const auto pictures = list_pictures(folder);
    const auto& numbers = models.numbers;
    const bool whole = !numbers.empty() && *std::max_element(numbers.begin(), numbers.end()) <
                                               static_cast<int64_t>(pictures.size());
    std::vector<std::string> out;
    Models kept;
    for (size_t k = 0; k < numbers.size(); ++k) {
        const auto is_it = [&](const auto& name) { return frame_number(name) == numbers[k]; };
        const auto found = whole ? pictures.begin() + numbers[k]
                                 : std::find_if(pictures.begin(), pictures.end(), is_it);
        if (found == pictures.end()) continue;
        out.push_back(*found);
        kept.stems.push_back(models.stems[k]);
        kept.numbers.push_back(numbers[k]);
    }
    models = kept;
    return out;
}

CaptureSource read_snapshot(const CaptureRequest& request) {
    const auto root = request.root();
    CaptureSource out;
    out.description = "PeopleSnapshot in ARAH's layout";
    FrameSet set;
    set.cameras = {""};
    auto models = list_models(root / "animnerf_models");
    const size_t all = models.stems.size();
    const auto stems = pair_pictures(root / "image", models);
    use_models(root / "animnerf_models", models, set);
    if (stems.size() < all)
        out.notes.push_back(fmt::format("{}: {} of {} poses have no picture and are left out",
                                        set.pose_path.string(), all - stems.size(), all));
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
