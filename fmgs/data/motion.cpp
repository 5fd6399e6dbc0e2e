#include <fmgs/data/motion.h>

#include <fmgs/core/check.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/pose_file.h>
#include <fmt/format.h>

#include <cmath>

namespace fmgs {

namespace {

torch::Tensor axis(int64_t i, double sign = 1, const torch::TensorOptions& options = {}) {
    auto x = torch::zeros({3}, options);
    x[i] = sign;
    return x;
}

torch::Tensor unit(const torch::Tensor& x) { return x / x.norm().clamp_min(1e-12); }

// Shortest rotation [3,3] that takes unit a to unit b.
torch::Tensor rotation_between(const torch::Tensor& a, const torch::Tensor& b) {
    auto turn = torch::linalg_cross(a, b);
    const double sine = turn.norm().item<double>(), cosine = a.dot(b).item<double>();
    if (sine < 1e-6) {
        if (cosine > 0) return torch::eye(3, a.options());
        // Opposite: half a turn about any axis across.
        const auto other = axis(a.abs().argmin().item<int64_t>(), 1, a.options());
        return exp_map((unit(torch::linalg_cross(a, other)) * M_PI).unsqueeze(0))[0];
    }
    return exp_map((turn / sine * std::atan2(sine, cosine)).unsqueeze(0))[0];
}

// Which axis the spine follows on average: SMPL's rest pose is y up, so R₀ e_y is the person's up.
torch::Tensor spine_axis(const std::vector<BodyPose>& poses) {
    auto mean = torch::zeros_like(poses.front().translation);
    for (const auto& pose : poses) mean += pose.rotations[0].select(1, 1);
    const int64_t largest = mean.abs().argmax().item<int64_t>();
    return axis(largest, mean[largest].item<double>() < 0 ? -1 : 1, mean.options());
}

std::string axis_name(const torch::Tensor& up) {
    const int64_t i = up.abs().argmax().item<int64_t>();
    return std::string(up[i].item<double>() < 0 ? "-" : "") + "xyz"[i];
}

// The part of x across `up`, unit; undefined when there is next to none.
torch::Tensor level(const torch::Tensor& x, const torch::Tensor& up) {
    const auto across = x - up * x.dot(up);
    return across.norm().item<double>() < 1e-4 ? torch::Tensor() : unit(across);
}

}  // namespace

Motion read_motion(const std::filesystem::path& path, int64_t joint_count) {
    const PoseFile file = read_pose_file(path);
    if (const int64_t joints = 1 + file.body_pose.size(1) / 3; joints > joint_count)
        throw Error(fmt::format(
            "{}: expected poses of at most {} joints, as the avatar's body has, got {} ({})",
            path.string(), joint_count, joints, file.layout));
    Motion out;
    out.fps = file.fps;
    for (int64_t i = 0; i < file.count(); ++i) out.poses.push_back(file.pose(i, joint_count));
    if (file.up_axis.empty()) {
        out.up = spine_axis(out.poses);
    } else {
        out.up = axis(file.up_axis == "z" ? 2 : 1, file.up_axis == "-y" ? -1 : 1);
    }
    out.description = fmt::format("{}: {} frames at {:g}/s from {}, {} up{}",
                                  path.filename().string(), file.count(), file.fps, file.layout,
                                  axis_name(out.up), file.up_axis.empty() ? " (by the spine)" : "");
    return out;
}

Motion resampled(const Motion& motion, double fps) {
    if (!(fps > 0)) throw Error(fmt::format("fps: expected a positive rate, got {}", fps));
    if (motion.poses.empty()) throw Error("motion: expected at least one pose, got none");
    Motion out = motion;
    out.fps = fps;
    out.poses.clear();
    const double last = static_cast<double>(motion.poses.size() - 1);
    const double step = motion.fps / fps;
    for (int64_t k = 0; static_cast<double>(k) * step <= last + 1e-9; ++k) {
        const double at = std::min(static_cast<double>(k) * step, last);
        const auto i = static_cast<size_t>(at);
        const double part = at - static_cast<double>(i);
        const BodyPose& a = motion.poses[i];
        if (part < 1e-9) {
            out.poses.push_back(a);
            continue;
        }
        const BodyPose& b = motion.poses[i + 1];
        const auto arc = log_map(torch::matmul(a.rotations.transpose(1, 2), b.rotations));
        out.poses.push_back({torch::matmul(a.rotations, exp_map(arc * part)),
                             torch::lerp(a.translation, b.translation, part)});
    }
    return out;
}

std::vector<BodyPose> place_motion(const Motion& motion, const Camera& camera,
                                   const Placement& placement) {
    if (motion.poses.empty()) throw Error("motion: expected at least one pose, got none");
    check_shape(placement.rest_root, {3}, "placement.rest_root");
    check_shape(placement.position, {3}, "placement.position");
    // Where the avatar is a motion may not be: all meets on the motion's device.
    const auto like = motion.poses.front().translation.options();
    const auto rest_root = placement.rest_root.to(like), position = placement.position.to(like);
    const auto up = placement.up.defined() ? unit(placement.up.to(like)) : axis(1, -1, like);
    auto turn = rotation_between(motion.up.to(like), up);
    if (placement.face_camera) {
        // SMPL looks along +z at rest.
        const auto heading =
            level(torch::mv(turn, motion.poses.front().rotations[0].select(1, 2)), up);
        const auto to_camera = level(camera.center().to(like) - position, up);
        if (heading.defined() && to_camera.defined()) {
            const double angle =
                std::atan2(torch::linalg_cross(heading, to_camera).dot(up).item<double>(),
                           heading.dot(to_camera).item<double>());
            turn = torch::matmul(exp_map((up * angle).unsqueeze(0))[0], turn);
        }
    }
    const auto start = motion.poses.front().translation;
    std::vector<BodyPose> out;
    for (const auto& pose : motion.poses) {
        auto rotations = pose.rotations.clone();
        rotations[0] = torch::matmul(turn, pose.rotations[0]);
        out.push_back(
            {rotations, torch::mv(turn, pose.translation - start) + position - rest_root});
    }
    return out;
}

torch::Tensor median_root(const std::vector<Frame>& frames, const torch::Tensor& rest_root) {
    if (frames.empty()) throw Error("frames: expected at least one, got none");
    std::vector<torch::Tensor> places;
    places.reserve(frames.size());
    for (const auto& frame : frames) places.push_back(frame.pose.translation);
    return median_root(torch::stack(places), rest_root);
}

torch::Tensor median_root(const torch::Tensor& translation, const torch::Tensor& rest_root) {
    check_shape(translation, {-1, 3}, "translation");
    return std::get<0>((translation + rest_root.to(translation.options())).median(0));
}

}  // namespace fmgs
