#include <fmgs/data/motion.h>

#include <fmgs/core/check.h>
#include <fmgs/core/joints.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/gait.h>
#include <fmgs/data/pose_file.h>
#include <fmgs/data/up_axis.h>
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

// The part of x across `up`, unit; undefined when there is next to none.
torch::Tensor level(const torch::Tensor& x, const torch::Tensor& up) {
    const auto across = x - up * x.dot(up);
    return across.norm().item<double>() < 1e-4 ? torch::Tensor() : unit(across);
}

// The rotations of a body with other joints: SMPL's first 22 are those of SMPL-H and SMPL-X, too.
PoseFile for_joints(PoseFile file, int64_t joint_count, const std::string& what) {
    constexpr int64_t kShared = smpl::kLeftHand;
    const int64_t joints = 1 + file.body_pose.size(1) / 3;
    if (joints == joint_count) return file;
    if (joint_count < kShared || (joints != kShared && joints != smpl::kJoints))
        throw Error(fmt::format(
            "{}: expected poses of {} joints, as the avatar's body has{}, got {} ({})", what,
            joint_count, joint_count > kShared ? fmt::format(", or of its first {}", kShared) : "",
            joints, file.layout));
    if (joints > kShared) {
        file.body_pose = file.body_pose.narrow(1, 0, 3 * (kShared - 1));
        file.notes.push_back("hands left out");
    }
    return file;
}

// The pose at `part` of the way from a to b.
BodyPose between(const BodyPose& a, const BodyPose& b, double part) {
    const auto arc = log_map(torch::matmul(a.rotations.transpose(1, 2), b.rotations));
    return {torch::matmul(a.rotations, exp_map(arc * part)),
            torch::lerp(a.translation, b.translation, part)};
}

// Puts poses where the numbers of the frames leave out some; returns how many.
int64_t fill_holes(const std::vector<int64_t>& frames, const std::string& what,
                   std::vector<BodyPose>& poses) {
    constexpr int64_t kLongest = 10000;
    std::vector<BodyPose> all;
    for (size_t k = 0; k < frames.size(); ++k) {
        const int64_t hole = k > 0 ? frames[k] - frames[k - 1] : 1;
        if (hole > kLongest)
            throw Error(fmt::format("{}: expected frames that follow one another, got {} after {}",
                                    what, frames[k], frames[k - 1]));
        for (int64_t i = 1; i < hole; ++i)
            all.push_back(between(poses[k - 1], poses[k],
                                  static_cast<double>(i) / static_cast<double>(hole)));
        all.push_back(poses[k]);
    }
    const auto filled = static_cast<int64_t>(all.size()) - static_cast<int64_t>(frames.size());
    if (filled > 0) poses = std::move(all);
    return filled;
}

// A walk whose steps are this much faster or slower than steps of their length is at another rate.
constexpr double kOddPace = 1.8;

void warn_of_rate(const std::string& what, bool has_fps, const Body& body, Motion& motion) {
    const auto walk = find_walk(motion.poses, body, motion.up);
    if (!walk) return;
    const double times = pace(*walk, motion.fps);
    const auto steps = fmt::format("{} steps of {:.2f} m", walk->steps, walk->length);
    if (times < kOddPace && times > 1 / kOddPace) return;
    motion.warnings.push_back(
        fmt::format("{}: {:g} poses a second{} do not go with the walk in it: {} at {:.2g} a "
                    "second, which people take at {:.2g}; {:.0f} poses a second would",
                    what, motion.fps, has_fps ? "" : ", assumed since the file does not say,",
                    steps, motion.fps / walk->frames_per_step,
                    walk->natural_fps() / walk->frames_per_step, walk->natural_fps()));
}

}  // namespace

Motion read_motion(const std::filesystem::path& path, const Body& body,
                   const MotionOptions& options) {
    const auto read = read_pose_file(
        path,
        {.person = options.person, .world = true, .body = &body, .mhr_folder = options.mhr_folder});
    const int64_t joint_count = body.joint_count();
    const auto file = for_joints(read, joint_count, path.string()).with_smpl_transl(body.joints());
    Motion out;
    out.fps = file.fps;
    for (int64_t i = 0; i < file.count(); ++i) out.poses.push_back(file.pose(i, joint_count));
    const int64_t filled = fill_holes(file.frame_ids, path.string(), out.poses);
    const auto up = find_up(out.poses, file.up_axis);
    out.up = up.up;
    out.description = fmt::format(
        "{}: {}, {} frames{} at {:g}/s{}, {} up ({})", path.filename().string(), file.layout,
        file.count(), filled > 0 ? fmt::format(" and {} filled in", filled) : "", file.fps,
        file.has_fps ? "" : " (the file does not say)", up.name, up.how);
    for (const auto& note : file.notes) out.description += "; " + note;
    if (up.contradicted)
        out.warnings.push_back(fmt::format("{}: {} is up {}", path.string(), up.name, up.how));
    warn_of_rate(path.string(), file.has_fps, body, out);
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
        out.poses.push_back(between(a, motion.poses[i + 1], part));
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

torch::Tensor median_root(std::span<const Frame> frames, const torch::Tensor& rest_root) {
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
