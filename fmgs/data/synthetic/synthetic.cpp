#include <fmgs/data/synthetic/synthetic.h>

#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/synthetic/motion.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <cmath>
#include <mutex>

namespace fmgs {
namespace {

void check_options(const SyntheticOptions& o) {
    check_ranges(o, "synthetic capture");
    if (o.samples % 2 == 0)
        throw Error(
            fmt::format("synthetic capture: samples: expected an odd number, got {}", o.samples));
}

// Where things stand: the person upright before a camera at the origin.
struct Stage {
    Camera camera;
    torch::Tensor origin;  // [3] of joint 0 in the world
    torch::Tensor rest;    // [3] joint 0 at rest
};

Stage set_up(const BodyModel& body, const SyntheticOptions& o) {
    Stage stage;
    const auto low = std::get<0>(body->shaped().min(0)), high = std::get<0>(body->shaped().max(0));
    const double height = (high[1] - low[1]).item<double>();
    const auto size = static_cast<double>(o.size);
    const double focal = 2 * size, distance = focal * height / (o.height_share * size);
    stage.camera.rotation = torch::eye(3);
    stage.camera.translation = torch::zeros(3);
    stage.camera.intrinsics = torch::tensor({focal, focal, size / 2, size / 2}, torch::kFloat);
    stage.camera.width = stage.camera.height = o.size;
    stage.rest = body->joints()[0].to(torch::kFloat);
    // The optical axis meets the middle of the body; joint 0 is above it by `up`, towards -y.
    const double up = stage.rest[1].item<double>() - 0.5 * (low[1] + high[1]).item<double>();
    stage.origin = torch::tensor({0.0, -up, distance}, torch::kFloat);
    return stage;
}

Frame make_frame(int64_t index, std::string name, const Camera& camera, BodyPose pose) {
    Frame frame;
    frame.index = index;
    frame.name = std::move(name);
    frame.camera = camera;
    frame.pose = std::move(pose);
    return frame;
}

std::map<std::string, std::vector<Frame>> plan(const Stage& stage, int64_t joints,
                                               const SyntheticOptions& o) {
    std::map<std::string, std::vector<Frame>> splits;
    const double round = 2 * M_PI;
    const auto at = [&](double t) { return turning_pose(t, joints, stage.origin, stage.rest); };
    auto& train = splits["train"];
    for (int64_t k = 0; k < o.train_frames; ++k) {
        const double t = round * static_cast<double>(k) / static_cast<double>(o.train_frames);
        train.push_back(make_frame(k, fmt::format("image_{:04}", k), stage.camera, at(t)));
    }
    for (int64_t k = 0; k < o.test_frames; ++k) {
        // A second turn in which limbs and trunk are out of step with the first.
        const double t =
            round * (static_cast<double>(k) + 0.5) / static_cast<double>(o.test_frames);
        auto pose = at(t + round / 3);
        pose.rotations[0] = at(t).rotations[0];
        splits["test"].push_back(make_frame(-1, fmt::format("image_{:04}", o.train_frames + k),
                                            stage.camera, std::move(pose)));
    }
    constexpr std::array<double, 4> kAngles = {M_PI / 4, -M_PI / 4, M_PI / 2, M_PI};
    const auto down = torch::tensor({0.0F, 1.0F, 0.0F});
    const int64_t poses = (o.test_views + 3) / 4;
    for (int64_t k = 0; k < o.test_views; ++k) {
        const auto index =
            std::min(o.train_frames - 1, (2 * (k / 4) + 1) * o.train_frames / (2 * poses));
        splits["test_view"].push_back(
            make_frame(index, fmt::format("view_{:04}", k),
                       stage.camera.orbit(stage.origin, down, kAngles[static_cast<size_t>(k % 4)]),
                       train[static_cast<size_t>(index)].pose));
    }
    for (int64_t k = 0; k < o.novel_frames; ++k) {
        splits["novel_motion"].push_back(
            make_frame(-1, fmt::format("novel_{:04}", k), stage.camera,
                       dancing_pose(k, o.novel_frames, joints, stage.origin, stage.rest)));
    }
    for (auto split = splits.begin(); split != splits.end();)
        split = split->second.empty() ? splits.erase(split) : ++split;
    return splits;
}

torch::Tensor no_betas(const BodyData& body) {
    return torch::zeros({body.shape_directions.defined() ? body.shape_directions.size(2) : 0});
}

}  // namespace

ClothedSubject synthetic_subject(const BodyData& body, const SyntheticOptions& options) {
    return {BodyModel(body, no_betas(body)), body_part_labels(body),
            SubjectOptions{.subdivisions = options.subdivisions,
                           .light = synthetic_light(options.light),
                           .garment = options.garment}};
}

Mesh synthetic_template(const BodyData& body, const SyntheticOptions& options) {
    auto coarse = options;
    coarse.subdivisions = 0;
    return synthetic_subject(body, coarse).canonical();
}

Capture synthetic_capture(const BodyData& body, const SyntheticOptions& options,
                          const SyntheticProgress& progress) {
    check_options(options);
    Capture capture;
    capture.description =
        fmt::format("synthetic capture, {0}x{0} pixels, seed {1}", options.size, options.seed);
    capture.betas = no_betas(body);
    const BodyModel model(body, capture.betas);
    const auto subject = synthetic_subject(body, options);
    const Stage stage = set_up(model, options);
    auto splits = plan(stage, model->joint_count(), options);

    struct Job {
        Frame* frame;
        int64_t train;  // number of the train frame, -1 for the others
    };
    std::vector<Job> jobs;
    for (auto& [split, frames] : splits) {
        for (auto& frame : frames) jobs.push_back({&frame, split == "train" ? frame.index : -1});
    }
    const auto total = static_cast<int64_t>(jobs.size());
    std::mutex mutex;
    int64_t done = 0;
    at::parallel_for(0, total, 1, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
            Frame& frame = *jobs[static_cast<size_t>(k)].frame;
            const int64_t train = jobs[static_cast<size_t>(k)].train;
            frame.truth = subject.render(frame.pose, frame.camera, options.samples);
            frame.maps = {{"color", frame.truth.at("color")}, {"mask", frame.truth.at("mask")}};
            if (train >= 0) {
                for (const auto& [name, map] :
                     corrupted(frame.truth, {}, {static_cast<uint64_t>(options.seed), train}))
                    frame.maps.set(name, map);
            }
            const std::lock_guard lock(mutex);
            if (++done; progress) progress(done, total);
        }
    });
    for (auto& [split, frames] : splits) capture.splits[split] = FrameList(std::move(frames));
    return capture;
}

}  // namespace fmgs
