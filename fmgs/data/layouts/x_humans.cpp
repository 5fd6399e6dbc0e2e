// X-Humans: scans rendered by a camera that circles, several takes.
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/camera_file.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/layouts/fields.h>
#include <fmgs/data/layouts/frame_set.h>
#include <fmgs/data/layouts/layouts.h>
#include <fmt/format.h>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

/// A frame of a take.
struct Shot {
    std::string name;
    fs::path picture, mask, mesh;
    SourceCamera camera;
};

void read_take(const fs::path& folder, const std::string& name, std::vector<Shot>& out) {
    const auto stems = list_pictures(folder / "render/image");
    const auto cameras = read_camera_file(folder / "render/cameras.npz");
    const auto meshes = list_files(folder / "SMPL", ".pkl");
    const auto count = static_cast<int64_t>(stems.size());
    // Pictures count from 1, meshes have the numbers of the scans: they meet in their order.
    if (meshes.size() != stems.size())
        throw Error(fmt::format("{}: {} fits for {} pictures; expected as many",
                                (folder / "SMPL").string(), meshes.size(), stems.size()));
    for (size_t i = 0; i < stems.size(); ++i) {
        const auto& stem = stems[i];
        const auto mask = stem.starts_with("color_") ? "mask_" + stem.substr(6) : stem;
        out.push_back({name + "/" + stem, find_picture(folder / "render/image", stem),
                       find_mask(folder / "render/mask", mask), folder / "SMPL" / meshes[i],
                       cameras.camera(static_cast<int64_t>(i), count)});
    }
}

SourcePose read_pose(const fs::path& file, const torch::Tensor& betas) {
    auto pose = read_smpl_pose(Fields(file));
    pose.betas = betas;
    return pose;
}

CaptureSource read(const CaptureRequest& request) {
    const auto root = request.root();
    // The betas of the fits are not those that the translations go with.
    const auto betas = Fields(root / "mean_shape_smpl.npy").numbers({});
    CaptureSource out;
    out.description = "X-Humans";
    std::vector<Shot> shots;
    FrameSet set;
    set.cameras = {""};
    set.pose_path = root / "train";
    for (const char* split : {"train", "test"}) {
        const size_t before = shots.size();
        for (const auto& take : list_folders(root / split))
            read_take(root / split / take, take, shots);
        for (size_t k = before; k < shots.size(); ++k) set.listed[split].push_back({0, k});
    }
    for (size_t k = 0; k < shots.size(); ++k) set.numbers.push_back(static_cast<int64_t>(k));
    set.pose = [&](size_t k) { return read_pose(shots[k].mesh, betas); };
    set.frame = [&](size_t, size_t k) {
        FrameSource frame;
        frame.name = shots[k].name;
        frame.picture = shots[k].picture;
        frame.mask.files = {shots[k].mask};
        frame.folder = root;
        frame.camera = shots[k].camera;
        return frame;
    };
    add_splits(request, set, out);
    out.notes.push_back((root / "mean_shape_smpl.npy").string() +
                        ": its betas are taken for all frames, not those of the fits");
    out.notes.push_back(center_note(PixelCenter::half, "render/cameras.npz"));
    return out;
}

}  // namespace

Layout x_humans_layout() {
    return {"X-Humans", "mean_shape_smpl.npy",
            [](const fs::path& root) { return is_there(root / "mean_shape_smpl.npy"); }, read};
}

}  // namespace fmgs
