// PeopleSnapshot as Anim-NeRF prepares it.
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/layouts/fields.h>
#include <fmgs/data/layouts/frame_set.h>
#include <fmgs/data/layouts/layouts.h>
#include <fmgs/data/layouts/snapshot_camera.h>
#include <fmt/format.h>

namespace fmgs {

namespace fs = std::filesystem;

// Pictures may be smaller than those that were calibrated.
SourceCamera fit_to_picture(SourceCamera camera, const fs::path& picture) {
    const auto size = stored_size(picture);
    const double sx = static_cast<double>(size.width) / static_cast<double>(camera.width);
    const double sy = static_cast<double>(size.height) / static_cast<double>(camera.height);
    camera.intrinsic =
        torch::matmul(torch::diag(torch::tensor({sx, sy, 1.0}, torch::kDouble)), camera.intrinsic);
    camera.width = size.width;
    camera.height = size.height;
    return camera;
}

namespace {

SourcePose read_pose(const fs::path& file) {
    const Fields in(file);
    auto pose = read_smpl_pose(in);
    pose.betas = in.numbers("betas", {});
    return pose;
}

CaptureSource read(const CaptureRequest& request) {
    const auto root = request.root();
    CaptureSource out;
    out.description = "PeopleSnapshot in Anim-NeRF's layout";
    FrameSet set;
    std::vector<SourceCamera> cameras;
    for (const auto& name : list_folders(root)) {
        if (!name.starts_with("cam") || !is_there(root / name / "camera.pkl")) continue;
        set.cameras.push_back(name);
        const auto stems = list_pictures(root / name / "images");
        cameras.push_back(fit_to_picture(snapshot_camera(Fields(root / name / "camera.pkl")),
                                         find_picture(root / name / "images", stems.front())));
    }
    // At the subject's top, or below the camera.
    set.pose_path = is_there(root / "smpls") ? root / "smpls" : root / set.cameras[0] / "smpls";
    const auto files = list_files(set.pose_path, ".pkl");
    std::vector<std::string> stems;
    for (const auto& file : files) {
        stems.push_back(fs::path(file).stem().string());
        set.numbers.push_back(frame_number(stems.back()) - 1);  // names count from 1
    }
    set.pose = [&](size_t k) { return read_pose(set.pose_path / files[k]); };
    set.frame = [&](size_t c, size_t k) {
        FrameSource frame;
        frame.name = set.name(c, stems[k]);
        frame.picture = find_picture(root / set.cameras[c] / "images", stems[k]);
        frame.mask.says = MaskSource::Says::alpha;
        frame.folder = root;
        frame.camera = cameras[c];
        return frame;
    };
    add_splits(request, set, out);
    out.notes.push_back(center_note(PixelCenter::half, "camera.pkl"));
    return out;
}

}  // namespace

Layout anim_nerf_layout() {
    return {"PeopleSnapshot in Anim-NeRF's layout", "cam000/camera.pkl",
            [](const fs::path& root) { return is_there(root / "cam000/camera.pkl"); }, read};
}

}  // namespace fmgs
