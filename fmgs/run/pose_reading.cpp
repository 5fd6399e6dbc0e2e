#include <fmgs/run/pose_reading.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/io/safetensors.h>
#include <fmgs/core/named_tensors.h>
#include <fmt/format.h>
#include <torch/nn/functional/upsampling.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace fmgs {

namespace F = torch::nn::functional;
namespace fs = std::filesystem;

namespace {

constexpr const char* kKind = "fmgs-pose-encoder";
constexpr int64_t kFormat = 1;

/// The options alone, as a file keeps them.
struct OptionsText {
    PoseCorrectionOptions encoder;
    int64_t joints = 0;

    template <class V>
    void visit(V& v) {
        v.group("encoder", encoder);
        v("joints", joints, Range::of(1, 10000));
    }
};

}  // namespace

torch::Tensor person_picture(const Body& body, const Frame& frame, int64_t size) {
    const torch::NoGradGuard guard;
    const auto& color = frame.maps.at("color");
    const auto points = body.posed(frame.pose.to(body.shaped().device())).cpu();
    const auto seen = frame.camera.to(torch::kCPU).to_camera(points.to(torch::kFloat));
    if (!(seen.select(1, 2).min().item<double>() > 0))
        throw Error(
            fmt::format("frame '{}': the posed body is not in front of the camera", frame.name));
    const auto K = frame.camera.intrinsics.cpu();
    const auto at = seen.slice(1, 0, 2) / seen.slice(1, 2) * K.slice(0, 0, 2) + K.slice(0, 2);
    const auto low = std::get<0>(at.min(0)), high = std::get<0>(at.max(0));
    const auto side = std::max<int64_t>(1, std::lround(1.2 * (high - low).max().item<double>()));
    const int64_t W = color.size(2), H = color.size(1);
    if (side > 10 * std::max(W, H))
        throw Error(
            fmt::format("frame '{}': the posed body is {} pixels large in a picture of "
                        "{}x{}; is its pose of another camera?",
                        frame.name, side, W, H));
    const auto middle = (low + high) / 2;
    const auto corner = [&](int64_t axis) {
        return std::lround(middle[axis].item<double>() - 0.5 * static_cast<double>(side));
    };
    const int64_t left = corner(0), top = corner(1);
    // Black around the picture, or less of it: negative padding cuts.
    const auto square = torch::constant_pad_nd(color.cpu().unsqueeze(0),
                                               {-left, left + side - W, -top, top + side - H});
    return F::interpolate(square, F::InterpolateFuncOptions()
                                      .size(std::vector<int64_t>{size, size})
                                      .mode(torch::kBilinear)
                                      .align_corners(false)
                                      .antialias(true))[0];
}

std::shared_ptr<EncodedPosesImpl> encoded_poses(const FrameList& frames, std::shared_ptr<Body> body,
                                                int64_t size,
                                                std::shared_ptr<PoseCorrectionImpl> correction) {
    std::vector<BodyPose> poses;
    for (const auto& head : frames.heads()) poses.push_back(head.pose);
    return std::make_shared<EncodedPosesImpl>(
        std::move(poses),
        [frames, body = std::move(body), size](int64_t k) {
            return person_picture(*body, frames[static_cast<size_t>(k)], size);
        },
        std::move(correction));
}

void save_pose_encoder(const fs::path& file, const PoseCorrectionImpl& correction,
                       const PoseCorrectionOptions& options, int64_t joints) {
    write_safetensors(file, named_tensors(correction),
                      {{"format", fmt::format("{} {}", kKind, kFormat)},
                       {"options", dump_yaml(OptionsText{options, joints})}});
}

SavedPoseEncoder load_pose_encoder(const fs::path& file, int64_t joints) {
    Metadata metadata;
    const auto tensors = read_safetensors(file, &metadata);
    check_kind(metadata, kKind, kFormat, file.string());
    try {
        const auto found = metadata.find("options");
        if (found == metadata.end()) throw Error("expected its options, got none");
        Config config;
        config.add_text(found->second, "options");
        OptionsText text;
        config.read(text);
        if (text.joints != joints)
            throw Error(fmt::format("expected an encoder of {} joints, the avatar's, got {}",
                                    joints, text.joints));
        auto correction = std::make_shared<PoseCorrectionImpl>(text.encoder, joints);
        copy_tensors(tensors, named_tensors(*correction), "tensors");
        return {std::move(correction), text.encoder};
    } catch (const Error& error) {
        throw Error(fmt::format("{}: {}", file.string(), error.what()));
    }
}

Sequence driven_sequence(const Drawable& avatar, const SavedPoseEncoder& encoder,
                         const CaptureOptions& data, const SequenceOptions& options) {
    check_rate(options);
    const auto capture =
        read_capture(data, {}, {.splits = {"train"}, .priors = false, .truth = false});
    const auto& frames = capture.splits.at("train");
    for (const auto& head : frames.heads()) {
        const int64_t joints = avatar.body->joint_count();
        if (head.pose.rotations.defined() && head.pose.rotations.size(0) == joints) continue;
        throw Error(fmt::format("{}: frame '{}': expected the rotations of {} joints, the avatar's",
                                data.root, head.name, joints));
    }
    const auto poses = encoded_poses(frames, avatar.body, encoder.options.size, encoder.correction);
    Sequence out;
    out.name = fs::path(data.root).lexically_normal().stem().string() + "_driven";
    out.notes.push_back(capture.description);
    for (size_t k = 0; k < frames.size() && std::ssize(out.shots) < options.frames;
         k += static_cast<size_t>(options.stride)) {
        auto camera = frames.heads()[k].camera;
        camera.near = avatar.scene.camera.near;
        camera.low_pass = avatar.scene.camera.low_pass;
        if (options.size) camera = options.size->applied(camera);
        const torch::NoGradGuard guard;
        out.shots.push_back({camera, poses->forward(static_cast<int64_t>(k))});
    }
    check_room(out.shots);
    out.fps = options.fps.value_or(out.fps) / static_cast<double>(options.stride);
    return out;
}

}  // namespace fmgs
