// PeopleSnapshot as its authors released it: a video, and masks and poses in HDF5.
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/hdf5_file.h>
#include <fmgs/data/layouts/fields.h>
#include <fmgs/data/layouts/frame_set.h>
#include <fmgs/data/layouts/layouts.h>
#include <fmgs/data/layouts/snapshot_camera.h>
#include <fmt/format.h>

namespace fmgs {

namespace fs = std::filesystem;

SourceCamera snapshot_camera(const Fields& in) {
    const auto f = in.numbers("camera_f", {2}), c = in.numbers("camera_c", {2});
    const auto at = [](const torch::Tensor& x, int64_t i) { return x[i].item<double>(); };
    CameraNumbers out;
    out.K = intrinsic_of(at(f, 0), at(f, 1), at(c, 0), at(c, 1));
    out.dist = in.optional("camera_k", {4, 5, 8});
    // videoavatars writes an axis-angle, Anim-NeRF a matrix.
    if (in.has("camera_rt"))
        out.R = exp_map(in.numbers("camera_rt", {3}).unsqueeze(0))[0];
    else if (in.has("R"))
        out.R = in.numbers("R", {9});
    out.t = in.optional(in.has("camera_t") ? "camera_t" : "t", {3});
    auto camera = make_camera(out, in.what);
    camera.width = in.pixels("width");
    camera.height = in.pixels("height");
    return camera;
}

namespace {

fs::path find_video(const fs::path& root) {
    for (const char* extension : {".mp4", ".avi", ".mov", ".MP4"}) {
        const auto files = list_files(root, extension);
        if (!files.empty()) return root / files.front();
    }
    throw Error(
        fmt::format("{}: expected a video (.mp4) beside masks.hdf5, there is none", root.string()));
}

/// reconstructed_poses.hdf5.
struct Poses {
    fs::path file;
    torch::Tensor pose, trans, betas;  // [F,72], [F,3], [B] double

    explicit Poses(const fs::path& path) : file(path) {
        Hdf5File in(path);
        pose = in.read("pose");
        trans = in.read("trans");
        betas = in.read("betas").reshape(-1);
        if (pose.dim() != 2 || pose.size(1) != 72 || trans.dim() != 2 || trans.size(1) != 3 ||
            pose.size(0) != trans.size(0))
            throw Error(fmt::format("{}: expected pose [F,72] and trans [F,3], got {} and {}",
                                    path.string(), shape_text(pose.sizes()),
                                    shape_text(trans.sizes())));
        for (const auto& [name, x] :
             {std::pair{"pose", pose}, std::pair{"trans", trans}, std::pair{"betas", betas}}) {
            if (!x.isfinite().all().item<bool>())
                throw Error(fmt::format("{}: {}: holds NaN or infinity", path.string(), name));
        }
    }
};

CaptureSource read(const CaptureRequest& request) {
    const auto root = request.root();
    const auto masks = root / "masks.hdf5", video = find_video(root);
    const auto camera = snapshot_camera(Fields(root / "camera.pkl"));
    const Poses poses(root / "reconstructed_poses.hdf5");
    const auto shape = Hdf5File(masks).shape("masks");
    if (shape.size() != 3 || shape[0] == 0)
        throw Error(
            fmt::format("{}: masks: expected [F,H,W], got {}", masks.string(), shape_text(shape)));
    const int64_t surplus = poses.pose.size(0) - shape[0];
    if (surplus < 0)
        throw Error(fmt::format("{}: {} rows of poses for {} masks", poses.file.string(),
                                poses.pose.size(0), shape[0]));
    CaptureSource out;
    out.description = "PeopleSnapshot, original";
    if (surplus > 0)
        out.notes.push_back(fmt::format(
            "{}: {} rows more than masks; the first ones are left out, as NeuralBody does",
            poses.file.string(), surplus));
    FrameSet set;
    set.cameras = {""};
    set.pose_path = poses.file;
    for (int64_t k = 0; k < shape[0]; ++k) set.numbers.push_back(k);
    set.pose = [&](size_t k) {
        const auto row = static_cast<int64_t>(k) + surplus;
        return SourcePose{poses.pose[row], poses.trans[row], poses.betas};
    };
    set.frame = [&](size_t, size_t k) {
        FrameSource frame;
        frame.name = fmt::format("image_{:04d}", k);
        frame.picture = video;
        frame.video_frame = static_cast<int64_t>(k);
        frame.mask.files = {masks};
        frame.mask.row = static_cast<int64_t>(k);
        frame.folder = root;
        frame.camera = camera;
        return frame;
    };
    add_splits(request, set, out);
    out.notes.push_back(center_note(PixelCenter::half, (root / "camera.pkl").string()));
    return out;
}

}  // namespace

Layout people_snapshot_layout() {
    return {"the original PeopleSnapshot", "masks.hdf5",
            [](const fs::path& root) { return is_there(root / "masks.hdf5"); }, read};
}

}  // namespace fmgs
