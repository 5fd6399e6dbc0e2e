// 4D-DRESS: one take, four cameras.
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

SourceCamera read_camera(const Fields& in) {
    const auto E = in.numbers("extrinsics", {12, 16}).reshape({-1, 4});
    return make_camera({in.numbers("intrinsics", {9}),
                        E.slice(0, 0, 3).slice(1, 0, 3),
                        E.slice(0, 0, 3).select(1, 3),
                        {},
                        PixelCenter::integer},
                       in.what);
}

SourcePose read_pose(const fs::path& file) {
    const Fields in(file);
    auto pose = read_smpl_pose(in);
    pose.betas = in.numbers("betas", {});
    return pose;
}

CaptureSource read(const CaptureRequest& request) {
    const auto root = request.root();
    const Fields params(root / "Capture/cameras.pkl");
    const auto ids = Fields(root / "basic_info.pkl").at("scan_frames").strings();
    CaptureSource out;
    out.description = "4D-DRESS";
    FrameSet set;
    std::vector<SourceCamera> cameras;
    for (const auto& name : list_folders(root / "Capture")) {
        set.cameras.push_back(name);
        cameras.push_back(read_camera(params.at(name)));
    }
    set.pose_path = root / "SMPL";
    for (const auto& id : ids) set.numbers.push_back(frame_number(id));
    set.pose = [&](size_t k) {
        return read_pose(set.pose_path / ("mesh-f" + ids[k] + "_smpl.pkl"));
    };
    set.frame = [&](size_t c, size_t k) {
        const auto folder = root / "Capture" / set.cameras[c];
        FrameSource frame;
        frame.name = set.name(c, "f" + ids[k]);
        frame.picture = find_picture(folder / "images", "capture-f" + ids[k]);
        frame.mask.files = {find_mask(folder / "masks", "mask-f" + ids[k])};
        frame.folder = root;
        frame.camera = cameras[c];
        return frame;
    };
    add_splits(request, set, out);
    out.notes.push_back(center_note(PixelCenter::integer, params.what));
    return out;
}

}  // namespace

Layout dress4d_layout() {
    return {"4D-DRESS", "basic_info.pkl with Capture/",
            [](const fs::path& root) {
                return is_there(root / "basic_info.pkl") && is_there(root / "Capture");
            },
            read};
}

}  // namespace fmgs
