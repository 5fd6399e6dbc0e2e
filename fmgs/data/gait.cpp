#include <fmgs/data/gait.h>

#include <fmgs/core/joints.h>

#include <algorithm>
#include <cmath>

namespace fmgs {

namespace {

// People lengthen their steps as they take more of them: step length over cadence, the walk ratio,
// is 0.0065 m per step/min for adults at all speeds (Sekiya and Nagasaki 1998), here per step/s.
constexpr double kWalkRatio = 0.0065 * 60;
constexpr double kLeastApart = 0.2;  // metres: a step, not a shuffle
constexpr size_t kLeastSteps = 4, kMostSteps = 100;
constexpr double kEven = 0.4;

// How far the left ankle is in front of the right one, per frame, metres.
std::vector<double> ankle_lead(const std::vector<BodyPose>& poses, const Body& body,
                               const torch::Tensor& up) {
    std::vector<torch::Tensor> all;
    all.reserve(poses.size());
    for (const auto& pose : poses) all.push_back(pose.rotations.slice(0, 0, smpl::kJointsWithLegs));
    const auto R = torch::stack(all).to(torch::kCPU, torch::kDouble);
    const auto rest = body.joints().to(torch::kCPU, torch::kDouble);
    const auto turned = [&](const torch::Tensor& rotation, smpl::Joint from, smpl::Joint to) {
        return torch::matmul(rotation, rest[to] - rest[from]);
    };
    const auto ankle = [&](smpl::Joint hip, smpl::Joint knee, smpl::Joint foot) {
        const auto thigh = torch::matmul(R.select(1, smpl::kPelvis), R.select(1, hip));
        const auto shin = torch::matmul(thigh, R.select(1, knee));
        return turned(R.select(1, smpl::kPelvis), smpl::kPelvis, hip) + turned(thigh, hip, knee) +
               turned(shin, knee, foot);
    };
    const auto apart = ankle(smpl::kLeftHip, smpl::kLeftKnee, smpl::kLeftAnkle) -
                       ankle(smpl::kRightHip, smpl::kRightKnee, smpl::kRightAnkle);
    auto facing = R.select(1, smpl::kPelvis).select(2, 2);
    const auto upright = up.to(torch::kCPU, torch::kDouble);
    facing = facing - torch::mv(facing, upright).unsqueeze(1) * upright;
    facing = facing / facing.norm(2, 1, true).clamp_min(1e-6);
    const auto lead = (apart * facing).sum(1).contiguous();
    return {lead.data_ptr<double>(), lead.data_ptr<double>() + lead.numel()};
}

struct Step {
    double begin, end, length;
};

// One per stretch between crossings in which the ankles come far enough apart.
std::vector<Step> steps_of(const std::vector<double>& lead) {
    std::vector<Step> steps;
    double begin = -1, widest = 0;
    for (size_t k = 1; k < lead.size(); ++k) {
        widest = std::max(widest, std::abs(lead[k - 1]));
        if (lead[k - 1] * lead[k] > 0 || lead[k] == 0) continue;
        const double at = static_cast<double>(k - 1) + lead[k - 1] / (lead[k - 1] - lead[k]);
        // Without a wide stance in between it was no crossing but a wavering.
        if (begin >= 0 && widest >= kLeastApart) steps.push_back({begin, at, widest});
        if (begin < 0 || widest >= kLeastApart) begin = at;
        widest = 0;
    }
    return steps;
}

double median(std::vector<double> x) {
    std::nth_element(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2), x.end());
    return x[x.size() / 2];
}

// Whether these steps are alike and follow one another.
bool is_even(const std::vector<Step>& steps) {
    std::vector<double> lengths, times;
    for (const auto& step : steps) {
        lengths.push_back(step.length);
        times.push_back(step.end - step.begin);
    }
    const double length = median(lengths), time = median(times);
    for (size_t k = 0; k < steps.size(); ++k) {
        if (std::abs(lengths[k] - length) > kEven * length ||
            std::abs(times[k] - time) > kEven * time ||
            (k > 0 && std::abs(steps[k].begin - steps[k - 1].end) > 1e-9))
            return false;
    }
    return true;
}

}  // namespace

double Walk::natural_fps() const { return frames_per_step * length / kWalkRatio; }

double pace(const Walk& walk, double fps) { return fps / walk.natural_fps(); }

std::optional<Walk> find_walk(const std::vector<BodyPose>& poses, const Body& body,
                              const torch::Tensor& up) {
    if (poses.empty() || body.joint_count() < smpl::kJointsWithLegs ||
        !poses.front().rotations.defined())
        return {};
    const auto steps = steps_of(ankle_lead(poses, body, up));
    std::vector<Step> best;
    for (size_t first = 0; first + kLeastSteps <= steps.size(); ++first) {
        const auto at = steps.begin() + static_cast<std::ptrdiff_t>(first);
        std::vector<Step> run(at, at + kLeastSteps);
        if (!is_even(run)) continue;
        for (size_t next = first + kLeastSteps; next < steps.size() && run.size() < kMostSteps;
             ++next) {
            run.push_back(steps[next]);
            if (is_even(run)) continue;
            run.pop_back();
            break;
        }
        if (run.size() > best.size()) best = run;
        if (best.size() == kMostSteps) break;
        first += run.size() - kLeastSteps;
    }
    if (best.empty()) return {};
    Walk walk;
    walk.steps = static_cast<int64_t>(best.size());
    for (const auto& step : best) walk.length += step.length / static_cast<double>(walk.steps);
    walk.frames_per_step = (best.back().end - best.front().begin) / static_cast<double>(walk.steps);
    return walk;
}

}  // namespace fmgs
