#include <fmgs/run/export.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/aside_folder.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/core/joint_names.h>
#include <fmgs/run/draw.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace fmgs {

namespace fs = std::filesystem;
using torch::Tensor;

namespace {

/// Training frames have no rate of their own.
constexpr double kTrainingRate = 30;

Motion motion_of(const AvatarScene& scene) {
    Motion out;
    for (int64_t k = 0; k < std::ssize(scene.frames); ++k) out.poses.push_back(scene.pose(k));
    out.fps = kTrainingRate;
    out.up = scene.up;
    return out;
}

ExportPoses every(const std::vector<BodyPose>& poses, int64_t stride, double fps) {
    ExportPoses out{{}, fps / static_cast<double>(stride)};
    for (size_t k = 0; k < poses.size(); k += static_cast<size_t>(stride))
        out.poses.push_back(poses[k]);
    return out;
}

}  // namespace

ExportAxes ExportAxes::of(const std::string& name) {
    if (name == "y") return {torch::tensor({0.F, 1.F, 0.F}), torch::tensor({0.F, 0.F, 1.F})};
    if (name == "-y") return {torch::tensor({0.F, -1.F, 0.F}), torch::tensor({0.F, 0.F, -1.F})};
    if (name == "z") return {torch::tensor({0.F, 0.F, 1.F}), torch::tensor({0.F, -1.F, 0.F})};
    throw Error(fmt::format("axes: expected y, -y or z up, got '{}'", name));
}

Tensor ExportAxes::turn() const {
    return torch::stack({torch::linalg_cross(up, front), up, front}, 1);
}

ExportPoses export_poses(const SavedBaked& saved, const Motion* motion, int64_t stride,
                         const ExportAxes& axes) {
    const torch::NoGradGuard guard;
    const auto& body = saved.avatar->body();
    const auto root = body->joints()[0].to(torch::kCPU);
    const auto lowest = body->shaped().select(1, 1).min().to(torch::kCPU);
    const auto place = axes.up * (root[1] - lowest);
    constexpr double kAway = 3;  // metres; any distance shows the front
    const auto camera =
        Camera::look_at(place + kAway * axes.front, place, axes.up, /*focal=*/1, 1, 1);
    const auto training = motion ? Motion{} : motion_of(saved.scene);
    const auto& moved = motion ? *motion : training;
    const auto poses =
        place_motion(moved, camera, {.rest_root = root, .position = place, .up = axes.up});
    return every(poses, stride, moved.fps);
}

ExportPoses capture_poses(const SavedBaked& saved, const Motion* motion, int64_t stride) {
    const auto& scene = saved.scene;
    if (!motion) return every(motion_of(scene).poses, stride, kTrainingRate);
    return every(placed(*motion, scene, *saved.avatar->body()), stride, motion->fps);
}

PosedSurfels canonical_surfels(const BakedAvatar& avatar, const ExportAxes& axes) {
    const torch::NoGradGuard guard;
    auto surfels = avatar->canonical();
    const auto turn = axes.turn().to(surfels.position.options()).unsqueeze(0);
    surfels.bones =
        rigid(turn, torch::zeros({1, 3}, turn.options())).expand({surfels.skinning.size(1), 4, 4});
    return surfels.posed();
}

void check_sequence_folder(const fs::path& folder) {
    if (!is_there(folder)) return;
    if (!fs::is_directory(folder))
        throw Error(fmt::format("{}: expected a new or empty folder, got a file; give another name",
                                folder.string()));
    if (!fs::is_empty(folder))
        throw Error(fmt::format(
            "{}: expected a new or empty folder, it holds {}; give another name or empty it",
            folder.string(), fs::directory_iterator(folder)->path().filename().string()));
}

void write_splat_sequence(const fs::path& folder, const BakedAvatar& avatar,
                          const ExportPoses& poses, const SplatFileOptions& options,
                          const std::function<void(int64_t)>& shown) {
    const torch::NoGradGuard guard;
    check_sequence_folder(folder);
    AsideFolder aside(folder);
    int64_t count = 0;
    for (const auto& pose : poses.poses) {
        const auto file = aside.path() / fmt::format("frame{:04d}.ply", ++count);
        write_splats(file, avatar->forward(pose), options);
        shown(count);
    }
    aside.put_in_place();
}

void write_surfel_data(const fs::path& file, const SavedBaked& saved) {
    const auto& parts = saved.avatar->parts();
    const auto& body = saved.avatar->body();
    const auto array = [](const Tensor& x) { return npy_array(x.to(torch::kCPU).contiguous()); };
    NpzFile out{{"bone_index", array(parts.bone_index)},
                {"bone_weight", array(parts.bone_weight.to(torch::kFloat))},
                {"joint_names", npy_array(joint_names(body->joint_count()))},
                {"parents", array(body->parents())},
                {"joints", array(body->joints().to(torch::kFloat))}};
    if (parts.labels.defined()) {
        out["labels"] = array(parts.labels);
        if (const auto names = saved.scene.labels.find("semantic");
            names != saved.scene.labels.end())
            out["label_names"] = npy_array(names->second);
    }
    write_npz(file, out);
}

}  // namespace fmgs
