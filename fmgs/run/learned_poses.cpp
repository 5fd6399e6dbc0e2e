#include <fmgs/run/learned_poses.h>

#include <fmgs/core/check.h>
#include <fmgs/core/named_tensors.h>
#include <fmgs/core/random.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/file_names.h>
#include <fmgs/losses/pose_anchor.h>
#include <fmgs/raster/render.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

namespace fmgs {

namespace {

constexpr int64_t kBlock = 8;  // pixels

/// The parameters of the pose table under the names that a checkpoint gives them.
TensorDict rows_of(const Run& run) { return named_tensors(*run.poses, "poses."); }

/// Σ (picture - target)² over the pixels that are hidden, of these surfels in this pose.
double hidden_error(const Run& run, const Frame& frame, Surfels surfels, const BodyPose& pose,
                    const torch::Tensor& seen) {
    const auto& parts = run.avatar->parts();
    surfels.bones = parts.skinning->bones(parts.body->bones(pose));
    const auto picture = render(surfels.posed(), frame.camera, {"color"}).at("color");
    return ((picture - frame.maps.at("color")) * (1 - seen)).square().sum().item<double>();
}

/// Takes back what the translations [F,3] of frames that do not rest have on average moved by along
/// the frames' lines of sight. moving: [F,1], 1 for these.
void take_back_drift(const Run& run, torch::Tensor translation, const torch::Tensor& moving) {
    const double count = moving.sum().item<double>();
    if (count == 0) return;
    std::vector<torch::Tensor> from, sight;
    for (const auto& head : run.capture.splits.at("train").heads()) {
        from.push_back(head.pose.translation);
        sight.push_back(head.camera.rotation[2]);
    }
    const auto d = torch::stack(sight).to(translation.options()) * moving;
    const auto moved = translation - torch::stack(from).to(translation.options());
    translation.sub_((moved * d).sum() / count * d);
}

/// The table of the rows under these names with the suffix.
PoseTable table_of(const TensorDict& rows, const std::string& suffix) {
    return PoseTable(
        torch::cat({rows.at("poses.root" + suffix).unsqueeze(1), rows.at("poses.joints" + suffix)},
                   1),
        rows.at("poses.translation" + suffix));
}

/// Positions of the joints [J,3].
torch::Tensor joint_positions(const Body& body, const BodyPose& pose, const torch::Tensor& rest) {
    const auto moved = torch::matmul(body.bones(pose), rest);  // rest pose → this one
    return (torch::matmul(moved.slice(1, 0, 3).slice(2, 0, 3), body.joints().unsqueeze(2)) +
            moved.slice(1, 0, 3).slice(2, 3))
        .squeeze(2);
}

}  // namespace

PoseGuard::PoseGuard(const Run& run) {
    const auto& options = run.options;
    if (!options.pose.learn || options.pose.checks == 0 || options.pose.held_out == 0) return;
    if (options.pose.source != "table") return;  // a network has no rows to take back
    share_ = options.pose.held_out;
    checks_ = options.pose.checks;
    steps_ = options.train.steps;
    start_ = static_cast<int64_t>(std::ceil(options.pose.start * static_cast<double>(steps_)));
    seed_ = static_cast<uint64_t>(options.train.seed);
    for (const auto& [name, rows] : rows_of(run)) {
        file_.set(name, rows.detach().clone());
        kept_.set(name + ".kept", rows.detach().clone());
    }
    for (first_ = 1; first_ < steps_ && !due(first_);) ++first_;
}

const std::vector<bool>& PoseGuard::resting() const {
    if (!resting_.empty()) return resting_;
    const int64_t count = file_.at("poses.root").size(0);
    for (int64_t k = 0; k < count; ++k)
        resting_.push_back(std::all_of(file_.begin(), file_.end(), [&](const auto& row) {
            return torch::equal(kept_.at(row.first + ".kept")[k], row.second[k]);
        }));
    if (2 * std::count(resting_.begin(), resting_.end(), true) <= count)
        std::fill(resting_.begin(), resting_.end(), false);
    return resting_;
}

bool PoseGuard::rests(int64_t index, int64_t step) const {
    return !kept_.empty() && step >= first_ && resting()[static_cast<size_t>(index)];
}

torch::Tensor PoseGuard::seen(const Frame& frame) const {
    const auto& color = frame.maps.at("color");
    const int64_t height = color.size(1), width = color.size(2);
    const auto draws = torch::rand({(height + kBlock - 1) / kBlock, (width + kBlock - 1) / kBlock},
                                   Random{seed_, frame.index}.generator("held_out"), torch::kFloat);
    return (draws >= share_)
        .repeat_interleave(kBlock, 0)
        .repeat_interleave(kBlock, 1)
        .slice(0, 0, height)
        .slice(1, 0, width)
        .unsqueeze(0)
        .to(color.options());
}

Frame PoseGuard::hidden(const Frame& frame, int64_t step) const {
    if (kept_.empty() || rests(frame.index, step)) return frame;
    auto out = frame;
    const auto looks = seen(frame);
    out.maps.set("seen", looks);
    for (const auto* name : {"color", "mask"})
        if (const auto* map = frame.maps.find(name)) out.maps.set(name, *map * looks);
    return out;
}

bool PoseGuard::due(int64_t step) const {
    if (kept_.empty() || step <= start_) return false;
    return step * checks_ / steps_ > (step - 1) * checks_ / steps_;
}

int64_t PoseGuard::check(const Run& run, const FrameList& frames, const TensorDict& moments,
                         double progress) {
    constexpr double kWorth = 0.95;  // of the file's error: what a refined pose has to be below
    const torch::NoGradGuard guard;
    const auto rows = rows_of(run);
    const auto kept = table_of(kept_, ".kept"), file = table_of(file_, "");
    std::map<int64_t, bool> goes_back;  // of the frames that do not rest yet
    std::vector<int64_t> not_worth;
    for (const auto& drawn : frames) {
        const auto frame = drawn.to(run.device);
        const int64_t k = frame.index;
        if (!resting_.empty() && resting_[static_cast<size_t>(k)]) continue;
        const auto looks = seen(frame);
        const auto pose = run.poses->forward(k);
        // The networks, which most of the time goes into, are asked once.
        const auto surfels = run.avatar.ptr()->forward(frame.camera, pose, nullptr, progress);
        const auto error = [&](const BodyPose& of) {
            return hidden_error(run, frame, surfels, of, looks);
        };
        const double now = error(pose), best = error(kept.ptr()->forward(k));
        goes_back[k] = best < now;
        if (std::min(now, best) >= kWorth * error(file.ptr()->forward(k))) not_worth.push_back(k);
    }
    const auto at_rest = run.poses->size() - std::ssize(goes_back) + std::ssize(not_worth);
    if (2 * at_rest > run.poses->size())
        for (const int64_t k : not_worth) {
            goes_back[k] = true;
            for (const auto& [name, row] : file_) kept_.at(name + ".kept")[k].copy_(row[k]);
        }
    const auto translation = rows.at("poses.translation");
    auto moving = torch::zeros({run.poses->size(), 1}, translation.options());
    int64_t back = 0;
    for (const auto& [k, is_worse] : goes_back) {
        bool changed = false;
        for (const auto& [name, row] : rows) {
            auto mine = row[k], best = kept_.at(name + ".kept")[k];
            changed = changed || (is_worse && !torch::equal(mine, best));
            is_worse ? mine.copy_(best) : best.copy_(mine);
        }
        if (changed)
            for (const auto& [name, row] : rows) moments.at(name + ".first")[k].zero_();
        back += changed;
    }
    resting_.clear();
    for (int64_t k = 0; k < run.poses->size(); ++k)
        moving[k] = resting()[static_cast<size_t>(k)] ? 0 : 1;
    take_back_drift(run, translation, moving);
    kept_.at("poses.translation.kept").copy_(translation);
    return back;
}

Objective pose_objective(const Run& run, const Objective& objective) {
    Objective out;
    const auto& pose = run.options.pose;
    if (!pose.learn) return out;
    for (const auto& [name, loss, weight, reach] : objective->entries())
        if (name == "photometric" || name == "mask") out->add(name, loss, weight, reach);
    if (out->entries().empty())
        throw Error(
            "pose.learn: poses are learned from the photometric and the mask loss, and neither is "
            "there; give losses.photometric.weight or losses.mask.weight, or set pose.learn=false");
    if (pose.anchor > 0) {
        std::vector<BodyPose> file;
        for (const auto& head : run.capture.splits.at("train").heads()) file.push_back(head.pose);
        out->add("pose_anchor", std::make_shared<PoseAnchorLoss>(run.poses, std::move(file)),
                 pose.anchor, Reach::nothing());
    }
    if (pose.smoothness > 0)
        out->add("pose_smoothness",
                 std::make_shared<PoseSmoothnessLoss>(
                     run.poses, time_neighbours(run.capture.splits.at("train").heads())),
                 pose.smoothness, Reach::nothing());
    return out;
}

Surfels still_surfels(const Run& run, const Surfels& surfels, int64_t index) {
    auto out = surfels.restricted(Reach::nothing());
    const auto& parts = run.avatar->parts();
    out.bones = parts.skinning->bones(parts.body->bones(run.poses->forward(index)));
    return out;
}

TimeNeighbours time_neighbours(std::span<const Frame> frames) {
    std::vector<int64_t> times;
    for (const auto& frame : frames) times.push_back(frame_number(frame.name));
    int64_t closest = INT64_MAX;
    for (size_t k = 1; k < times.size(); ++k)
        if (times[k] > times[k - 1] && times[k - 1] >= 0)
            closest = std::min(closest, times[k] - times[k - 1]);
    TimeNeighbours out(times.size(), {-1, -1});
    for (size_t k = 1; k < times.size(); ++k) {
        if (times[k - 1] < 0 || times[k] - times[k - 1] != closest) continue;
        out[k][0] = static_cast<int64_t>(k) - 1;
        out[k - 1][1] = static_cast<int64_t>(k);
    }
    return out;
}

PoseChange pose_change(const Run& run) {
    const torch::NoGradGuard guard;
    const auto heads = run.capture.splits.at("train").heads();
    const int64_t count = run.body->joint_count();
    const auto zero = BodyPose{torch::eye(3).repeat({count, 1, 1}), torch::zeros({3})};
    const auto rest = torch::linalg_inv(run.body->bones(zero.to(run.device)));
    PoseChange out;
    out.drift = torch::zeros({3});
    for (const auto& head : heads) {
        const auto before = head.pose.to(run.device), now = run.poses->forward(head.index);
        const auto moved =
            (joint_positions(*run.body, now, rest) - joint_positions(*run.body, before, rest))
                .cpu();
        const double mean = moved.norm(2, 1).mean().item<double>();
        const auto turned = torch::matmul(now.rotations, before.rotations.transpose(1, 2));
        const auto angles = log_map(turned).norm(2, 1).cpu() * (180 / std::numbers::pi);
        out.mean += mean;
        out.worst = std::max(out.worst, mean);
        out.drift += moved.mean(0);
        out.root += angles[0].item<double>();
        if (count > 1) out.joints += angles.slice(0, 1).mean().item<double>();
        out.translation += (now.translation - before.translation).norm().item<double>();
        out.still += mean < 1e-6;  // rows of a table are angles: rounded
    }
    const auto frames = static_cast<double>(heads.size());
    for (auto* sum : {&out.mean, &out.root, &out.joints, &out.translation}) *sum /= frames;
    out.drift /= frames;
    return out;
}

std::string pose_change_text(const Run& run) {
    const auto change = pose_change(run);
    return fmt::format(
        "poses: joints moved by {:.1f} mm on average ({:.1f} mm in the frame that moved most, "
        "{:.1f} mm all frames together); root turned by {:.2f} degrees, joints by {:.2f}, "
        "translation {:.1f} mm; {} of {} frames are as in the file\n",
        1e3 * change.mean, 1e3 * change.worst, 1e3 * change.drift.norm().item<double>(),
        change.root, change.joints, 1e3 * change.translation, change.still, run.poses->size());
}

std::string drawn_poses_text(const Run& run, const std::string& split) {
    if (!run.options.pose.learn) return {};
    const auto heads = run.capture.splits.at(split).heads();
    const auto learned =
        std::count_if(heads.begin(), heads.end(), [](const Frame& f) { return f.index >= 0; });
    if (learned == 0) return {};
    return fmt::format(
        "{}: {} of {} frames show the pose of a training frame and are drawn in it as learned\n",
        split, learned, heads.size());
}

}  // namespace fmgs
