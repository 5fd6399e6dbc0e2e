#include <fmgs/run/shots.h>

#include <fmgs/core/check.h>
#include <fmgs/core/memory.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <charconv>
#include <numbers>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

constexpr double kRate = 24;  // pictures a second, where nothing says another

std::string stem_of(const fs::path& file) {
    const auto path = file.lexically_normal();
    return (path.has_filename() ? path : path.parent_path()).stem().string();
}

std::string name_of(const SequenceOptions& options) {
    std::string name = options.rest ? "rest" : stem_of(options.motion);
    if (!name.empty() && !options.camera.empty()) name += '_';
    name += stem_of(options.camera);
    if (name.empty()) return options.rotate_light > 0 ? "light" : "orbit";
    // Those are the folders of turntables.
    if ((name == "orbit" || name == "rest" || name == "light") && !options.rest)
        name += options.camera.empty() ? "_motion" : "_camera";
    return name;
}

/// The motion at `fps` poses a second, or at its own where that is 0.
Motion motion_at(const SequenceOptions& options, double fps, const Body& body,
                 std::vector<std::string>& notes) {
    auto motion = read_motion(options.motion, body, options.reading);
    notes.push_back(motion.description);
    for (const auto& warning : motion.warnings) notes.push_back("warning: " + warning);
    if (fps == 0 || fps == motion.fps) return motion;
    constexpr double kMost = 100000;
    const double count = static_cast<double>(motion.poses.size() - 1) * fps / motion.fps + 1;
    if (count > kMost)
        throw Error(
            fmt::format("{:g} pictures a second make {:.0f} poses of this motion of "
                        "{:g}, and at most {:.0f} are drawn; give a smaller --fps",
                        fps, count, motion.fps, kMost));
    notes.push_back(
        fmt::format("note: its {:g} poses a second are drawn as {:g}, as fast", motion.fps, fps));
    return resampled(motion, fps);
}

}  // namespace

void check_room(const std::vector<Shot>& shots) {
    constexpr double kBytesPerPixel = 800;  // measured with 28 classes: 740
    int64_t width = 0, height = 0;
    for (const auto& shot : shots) {
        if (shot.camera.width * shot.camera.height <= width * height) continue;
        width = shot.camera.width;
        height = shot.camera.height;
    }
    check_memory(kBytesPerPixel * static_cast<double>(width) * static_cast<double>(height),
                 fmt::format("pictures of {}x{}", width, height), "give a smaller --size");
}

void check_rate(const SequenceOptions& options) {
    if (options.fps && !(*options.fps >= 1 && *options.fps <= 1000))  // NaN, too
        throw Error(fmt::format("--fps: expected a number from 1 to 1000, got {}", *options.fps));
}

PictureSize PictureSize::of(const std::string& text) {
    constexpr int64_t kLeast = 16, kMost = 8192;
    const auto side = [&](const char* begin, const char* end) {
        int64_t value = 0;
        const auto [stop, error] = std::from_chars(begin, end, value);
        if (error != std::errc() || stop != end || value < kLeast || value > kMost)
            throw Error(fmt::format("--size: expected N or WxH, in pixels from {} to {}, got '{}'",
                                    kLeast, kMost, text));
        return value;
    };
    const char *begin = text.data(), *end = begin + text.size();
    const char* x = std::find(begin, end, 'x');
    return {side(begin, x), x == end ? 0 : side(x + 1, end)};
}

Camera PictureSize::applied(const Camera& camera) const {
    const auto w = static_cast<double>(camera.width), h = static_cast<double>(camera.height);
    if (height == 0) return camera.scaled(static_cast<double>(width) / std::max(w, h));
    const auto W = static_cast<double>(width), H = static_cast<double>(height);
    const double factor = std::min(W / w, H / h);
    auto out = camera;
    out.width = width;
    out.height = height;
    out.intrinsics = camera.intrinsics * factor +
                     torch::tensor({0.0, 0.0, (W - factor * w) / 2, (H - factor * h) / 2},
                                   camera.intrinsics.options());
    return out;
}

std::vector<Camera> turntable(const Camera& camera, const torch::Tensor& pivot,
                              const torch::Tensor& up, int64_t count) {
    std::vector<Camera> out;
    for (int64_t k = 0; k < count; ++k) {
        const double share = static_cast<double>(k) / static_cast<double>(count);
        out.push_back(camera.orbit(pivot, up, 2 * std::numbers::pi * share));
    }
    return out;
}

CameraList view_cameras(const fs::path& file, int64_t view) {
    CameraList out;
    if (file.extension() != ".safetensors")
        out = read_cameras(file);
    else
        out.cameras = {load_drawable(file).scene.camera};
    if (view < 0) return out;
    if (view >= std::ssize(out.cameras))
        throw Error(fmt::format("--view: expected a number from 0 to {}, the cameras of {}, got {}",
                                out.cameras.size() - 1, file.string(), view));
    out.cameras = {out.cameras[static_cast<size_t>(view)]};
    return out;
}

BodyPose canonical_pose(const AvatarScene& scene, const Body& body) {
    const torch::NoGradGuard guard;
    const auto root = body.joints()[0];
    const auto one = torch::eye(4, root.options()).expand({body.joint_count(), 4, 4});
    // B = A C⁻¹ with A = 1, the body at rest.
    const auto rest_to_canonical = body.bones({.rotations = {}, .translation = {}, .bones = one})
                                       .to(torch::kDouble)
                                       .inverse()
                                       .to(root.options());
    Motion still;
    still.poses = {{one.slice(1, 0, 3).slice(2, 0, 3), torch::zeros({3}, root.options())}};
    still.up = torch::tensor({0.F, 1.F, 0.F}, root.options());
    const auto pose = placed(still, scene, body).front();
    const auto turn = pose.rotations.slice(0, 0, 1);
    const auto place = pose.translation + root - torch::mv(turn[0], root);
    return {{}, {}, torch::matmul(rigid(turn, place.unsqueeze(0)), rest_to_canonical)};
}

Sequence plan_sequence(const Drawable& avatar, const SequenceOptions& options) {
    const auto& scene = avatar.scene;
    check_rate(options);
    if (options.rotate_light > 0 && !avatar.turn_light)
        throw Error(
            "--rotate-light: this avatar has its colours with the light in them; train one of "
            "materials (configs/seminar/material.yaml)");
    Sequence out;
    out.name = name_of(options);
    auto list = options.camera.empty() ? CameraList{} : view_cameras(options.camera, options.view);
    auto& cameras = list.cameras;
    const double asked = options.fps.value_or(cameras.size() > 1 ? list.fps.value_or(0) : 0);
    std::vector<BodyPose> poses;
    double rate = asked > 0 ? asked : kRate;
    if (!options.motion.empty()) {
        const auto motion = motion_at(options, asked, *avatar.body, out.notes);
        poses = placed(motion, scene, *avatar.body);
        rate = motion.fps;
        if (cameras.empty()) cameras = {scene.camera};
    } else {
        poses = {options.rest ? canonical_pose(scene, *avatar.body) : scene.pose(0)};
        const auto pivot =
            options.rest ? scene.root : poses[0].translation + avatar.body->joints()[0];
        if (cameras.empty() && options.rotate_light > 0)
            cameras.assign(static_cast<size_t>(options.rotate_light), scene.camera);
        if (cameras.empty()) cameras = turntable(scene.camera, pivot, scene.up, options.orbit);
    }
    const size_t count = cameras.size() == 1 ? poses.size()
                         : poses.size() == 1 ? cameras.size()
                                             : std::min(cameras.size(), poses.size());
    if (cameras.size() > 1 && poses.size() > 1 && cameras.size() != poses.size())
        out.notes.push_back(
            fmt::format("note: {} cameras and {} poses: the first {} of both are drawn",
                        cameras.size(), poses.size(), count));
    for (size_t k = 0; k < count && std::ssize(out.shots) < options.frames;
         k += static_cast<size_t>(options.stride)) {
        auto camera = cameras[cameras.size() == 1 ? 0 : k];
        camera.near = scene.camera.near;
        camera.low_pass = scene.camera.low_pass;
        if (options.size) camera = options.size->applied(camera);
        const double turn =
            options.rotate_light == 0
                ? 0
                : 360 * static_cast<double>(k) / static_cast<double>(options.rotate_light);
        out.shots.push_back({camera, poses[poses.size() == 1 ? 0 : k], turn});
    }
    out.fps = rate / static_cast<double>(options.stride);
    check_room(out.shots);
    return out;
}

}  // namespace fmgs
