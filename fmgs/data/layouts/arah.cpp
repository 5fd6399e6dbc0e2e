// ZJU-MoCap as ARAH prepares it and 3DGS-Avatar reads it.
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/layouts/fields.h>
#include <fmgs/data/layouts/frame_set.h>
#include <fmgs/data/layouts/layouts.h>
#include <fmt/format.h>

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

CaptureSource read_arah(const CaptureRequest& request) {
    const auto root = request.root();
    const Fields params(root / "cam_params.json");
    CaptureSource out;
    out.description = "ZJU-MoCap in ARAH's layout";
    FrameSet set;
    set.cameras = camera_names(params);
    std::vector<SourceCamera> cameras;
    for (const auto& name : set.cameras) cameras.push_back(read_camera(params.at(name)));
    set.pose_path = root / "models";
    const auto models = list_files(set.pose_path, ".npz");
    std::vector<std::string> stems;
    for (const auto& model : models) {
        stems.push_back(fs::path(model).stem().string());
        set.numbers.push_back(frame_number(stems.back()));
    }
    set.pose = [&](size_t k) { return read_pose(set.pose_path / models[k]); };
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

}  // namespace

Layout arah_layout() {
    return {"ZJU-MoCap in ARAH's and 3DGS-Avatar's layout", "cam_params.json",
            [](const fs::path& root) { return is_there(root / "cam_params.json"); }, read_arah};
}

}  // namespace fmgs
