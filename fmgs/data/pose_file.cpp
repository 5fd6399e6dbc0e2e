#include <fmgs/data/pose_file.h>

#include <fmgs/core/body_model.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/core/joints.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/fits/checks.h>
#include <fmgs/data/fits/numbers.h>
#include <fmgs/data/fits/read_fit.h>
#include <fmt/format.h>

#include <cmath>

namespace fmgs {

namespace {

std::optional<FitCamera> camera_of(const detail::Track& track, const detail::Fit& fit) {
    if (!track.intrinsics.defined() && !fit.camera) return {};
    FitCamera out = fit.camera.value_or(FitCamera{});
    out.width = track.width;
    out.height = track.height;
    if (!track.intrinsics.defined()) return out;
    const auto K = track.intrinsics.reshape({-1, 3, 3});
    const auto at = [&](int64_t i, int64_t j) { return K.select(1, i).select(1, j); };
    out.intrinsics = torch::stack({at(0, 0), at(1, 1), at(0, 2), at(1, 2)}, 1).to(torch::kFloat);
    if (out.intrinsics.size(0) == 1) out.intrinsics = out.intrinsics[0];
    out.origin = "stated by the fit";
    return out;
}

// One body for the whole file.
torch::Tensor mean_betas(const torch::Tensor& betas, std::vector<std::string>& notes) {
    if (!betas.defined() || betas.dim() == 1) return betas;
    if (betas.size(0) == 0) return {};
    const double spread =
        (std::get<0>(betas.max(0)) - std::get<0>(betas.min(0))).max().item<double>();
    if (spread > 1e-6)
        notes.push_back(fmt::format("betas averaged over {} frames (they vary by {:.2g})",
                                    betas.size(0), spread));
    return betas.mean(0);
}

}  // namespace

torch::Tensor FitCamera::intrinsics_of(int64_t row, int64_t picture_width,
                                       int64_t picture_height) const {
    if (width > 0 && (width != picture_width || height != picture_height))
        throw Error(fmt::format("camera of the fit: expected pictures of {}x{}, got {}x{}", width,
                                height, picture_width, picture_height));
    if (intrinsics.defined()) return intrinsics.dim() == 2 ? intrinsics[row] : intrinsics;
    const double w = static_cast<double>(picture_width), h = static_cast<double>(picture_height);
    const double focal = focal_per_longer * std::max(w, h) + focal_per_diagonal * std::hypot(w, h);
    return torch::tensor({focal, focal, w / 2, h / 2}, torch::kFloat);
}

BodyPose PoseFile::pose(int64_t i, int64_t joint_count) const {
    if (place != Place::kSmpl || extrinsic.defined())
        throw Error(
            fmt::format("poses ({}): their translations are not SMPL's transl; expected "
                        "with_smpl_transl(joints) first",
                        layout));
    return smpl_pose(global_orient[i], body_pose[i], transl[i], joint_count);
}

PoseFile PoseFile::with_smpl_transl(const torch::Tensor& joints) const {
    if (place == Place::kSmpl && !extrinsic.defined()) return *this;
    check_shape(joints, {-1, 3}, "joints");
    if (place == Place::kHips && joints.size(0) <= smpl::kRightHip)
        throw Error("joints: expected SMPL's hips for poses that are placed by the hips");
    const auto rest = joints.detach().to(torch::kCPU, torch::kDouble);
    const auto pelvis = rest[smpl::kPelvis];
    auto R = exp_map(global_orient.to(torch::kDouble));
    auto root = transl.to(torch::kDouble);  // where joint 0 is
    if (place == Place::kSmpl) root = root + pelvis;
    if (place == Place::kOrigin)
        root = detail::root_of_rh_th(global_orient.to(torch::kDouble), root, pelvis);
    if (place == Place::kHips) {
        const auto hips = (rest[smpl::kLeftHip] + rest[smpl::kRightHip]) / 2;
        root = root + torch::matmul(R, pelvis - hips);
    }
    PoseFile out = *this;
    if (extrinsic.defined()) {
        const auto E = extrinsic.to(torch::kDouble);
        const auto turn = E.slice(1, 0, 3).slice(2, 0, 3);
        root = torch::matmul(turn, root.unsqueeze(2)).squeeze(2) + E.slice(1, 0, 3).select(2, 3);
        out.global_orient = log_map(torch::matmul(turn, R)).to(torch::kFloat);
        out.extrinsic = torch::Tensor();
    }
    out.transl = (root - pelvis).to(torch::kFloat);
    out.place = Place::kSmpl;
    return out;
}

PoseFile read_pose_file(const std::filesystem::path& path, const PoseFileOptions& options) {
    const detail::Fit fit = detail::read_fit(path, options);
    const auto what = path.string();
    const auto& track = detail::choose_person(fit, options.person, what);
    detail::check_track(track, fit, what);
    PoseFile out;
    out.layout = fit.layout;
    out.notes = fit.notes;
    if (fit.people.size() > 1)
        out.notes.push_back(fmt::format("person {} of {}",
                                        track.person.empty() ? "without a name" : track.person,
                                        fit.people.size()));
    const auto rotations = track.rotations.to(torch::kFloat);
    out.global_orient = rotations.narrow(1, 0, 3).contiguous();
    out.body_pose = rotations.slice(1, 3).contiguous();
    out.transl = track.transl.defined() ? track.transl.to(torch::kFloat)
                                        : torch::zeros({rotations.size(0), 3});
    out.place = track.transl.defined() ? track.place : Place::kSmpl;
    if (track.extrinsic.defined()) out.extrinsic = track.extrinsic.to(torch::kFloat);
    const auto betas = mean_betas(track.betas, out.notes);
    if (betas.defined()) out.betas = betas.to(torch::kFloat);
    if (track.expression.defined()) out.expression = track.expression.to(torch::kFloat);
    out.names = track.names;
    out.frame_ids = track.frames;
    out.has_fps = fit.fps > 0;
    if (out.has_fps) out.fps = fit.fps;
    out.up_axis = fit.up_axis;
    out.camera = camera_of(track, fit);
    return out;
}

bool has_bone_matrices(const std::filesystem::path& file) {
    return !std::filesystem::is_directory(file) && !detail::is_bvh(file) &&
           detail::is_bones(read_value(file));
}

void write_pose_file(const std::filesystem::path& file, const PoseFile& poses) {
    if (poses.place != Place::kSmpl || poses.extrinsic.defined())
        throw Error("poses to be written: expected SMPL's transl, got another place");
    if (poses.betas.defined()) check_shape(poses.betas, {-1}, "poses to be written: betas");
    check_shape(poses.global_orient, {-1, 3}, "poses to be written: global_orient");
    check_shape(poses.body_pose, {poses.count(), -1}, "poses to be written: body_pose");
    check_shape(poses.transl, {poses.count(), 3}, "poses to be written: transl");
    const auto real = [](const torch::Tensor& x) {
        return npy_array(x.detach().to(torch::kCPU, torch::kFloat).contiguous());
    };
    NpzFile arrays = {{"global_orient", real(poses.global_orient)},
                      {"body_pose", real(poses.body_pose)},
                      {"transl", real(poses.transl)},
                      {"frame_names", npy_array(poses.names)}};
    if (poses.betas.defined() && poses.betas.numel() > 0)
        arrays["betas"] = real(poses.betas.reshape({1, -1}));
    if (poses.expression.defined()) {
        check_shape(poses.expression, {poses.count(), -1}, "poses to be written: expression");
        arrays.emplace("expression", real(poses.expression));
    }
    write_npz(file, arrays);
}

}  // namespace fmgs
