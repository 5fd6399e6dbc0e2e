#include <fmgs/data/synthetic/motion.h>

#include <fmgs/core/check.h>
#include <fmgs/core/joints.h>
#include <fmgs/core/rotation.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <cmath>

namespace fmgs {
namespace {

using namespace smpl;

// Angles in radians. SMPL rests in a T: the left arm along +x, legs along -y, face towards +z.
class Figure {
  public:
    explicit Figure(int64_t joint_count) : angles_(torch::zeros({joint_count, 3})) {
        if (joint_count < kJoints) {
            throw Error(fmt::format(
                "synthetic motion: expected a body of at least 24 joints in SMPL's order, got {}",
                joint_count));
        }
    }
    void turn(int64_t joint, double x, double y, double z) {
        angles_[joint] = torch::tensor({x, y, z}, torch::kFloat);
    }
    // `down`: below the level; `forward`: swung to the front; `bend`: of the elbow.
    void left_arm(double down, double forward, double bend) {
        turn(kLeftShoulder, 0, -forward, -down), turn(kLeftElbow, 0, -bend, 0);
    }
    void right_arm(double down, double forward, double bend) {
        turn(kRightShoulder, 0, forward, down), turn(kRightElbow, 0, bend, 0);
    }
    // `lift`: of the thigh to the front; `apart`: to the side; `bend`: of the knee.
    void left_leg(double lift, double apart, double bend) {
        turn(kLeftHip, -lift, 0, apart), turn(kLeftKnee, bend, 0, 0);
    }
    void right_leg(double lift, double apart, double bend) {
        turn(kRightHip, -lift, 0, -apart), turn(kRightKnee, bend, 0, 0);
    }
    // Upright in a world whose y points down, turned by `yaw`, with joint 0 at `place`.
    BodyPose stand(double yaw, double lean, const torch::Tensor& place,
                   const torch::Tensor& rest) const {
        auto rotations = exp_map(angles_);
        const auto turns =
            torch::tensor({{M_PI, 0.0, 0.0}, {0.0, yaw, 0.0}, {0.0, 0.0, lean}}, torch::kFloat);
        const auto r = exp_map(turns);
        rotations[kPelvis] = torch::matmul(torch::matmul(r[0], r[2]), r[1]);
        // The root turns about joint 0's place at rest, and the translation comes after.
        return {rotations, (place - rest).to(torch::kFloat)};
    }

  private:
    torch::Tensor angles_;
};

}  // namespace

BodyPose turning_pose(double t, int64_t joint_count, const torch::Tensor& origin,
                      const torch::Tensor& rest) {
    Figure f(joint_count);
    const double s = std::sin(3 * t), c = std::cos(2 * t + 0.7), d = std::sin(5 * t + 0.4);
    f.left_arm(0.80 + 0.35 * s, 0.25 * c, 0.45 + 0.35 * d);
    f.right_arm(0.80 - 0.35 * std::sin(3 * t + 0.9), 0.25 * d, 0.45 - 0.35 * c);
    const double step = std::sin(4 * t);
    f.left_leg(0.35 * std::max(0.0, step), 0.10 + 0.05 * c, 0.10 + 0.55 * std::max(0.0, step));
    f.right_leg(0.35 * std::max(0.0, -step), 0.10 - 0.05 * d, 0.10 + 0.55 * std::max(0.0, -step));
    f.turn(kSpine1, 0.04 * c, 0.08 * s, 0.05 * d);
    f.turn(kSpine2, 0.05 * s, 0.07 * d, 0.04 * c);
    f.turn(kSpine3, 0.03 * d, 0.06 * c, 0.03 * s);
    f.turn(kHead, 0.10 * c, 0.25 * d, 0.05 * s);
    const auto sway = torch::tensor({0.03 * c, 0.01 * d, 0.04 * s}, torch::kFloat);
    return f.stand(t, 0.03 * s, origin + sway, rest);
}

BodyPose dancing_pose(int64_t k, int64_t count, int64_t joint_count, const torch::Tensor& origin,
                      const torch::Tensor& rest) {
    Figure f(joint_count);
    const double t = 2 * M_PI * static_cast<double>(k) / static_cast<double>(count);
    const double s = std::sin(t + 0.5), c = std::cos(t + 0.5);
    f.left_arm(-0.35 * s + 0.05, 0.35 + 0.35 * c, 0.9 + 0.6 * c);
    f.right_arm(0.35 * s + 0.05, 0.35 - 0.35 * c, 0.9 + 0.6 * s);
    f.left_leg(0.55 * std::max(0.0, s), 0.18 + 0.15 * c, 0.15 + 0.75 * std::max(0.0, s));
    f.right_leg(0.55 * std::max(0.0, -s), 0.18 - 0.15 * s, 0.15 + 0.75 * std::max(0.0, -s));
    f.turn(kSpine1, 0.10, 0.20 * s, 0.10 * c);
    f.turn(kSpine2, 0.05, 0.20 * s, 0.10 * c);
    f.turn(kSpine3, 0, 0.15 * c, 0.05 * s);
    f.turn(kHead, -0.1 * c, 0.3 * s, 0);
    const auto sway = torch::tensor({0.05 * s, 0.02 * c, 0.0}, torch::kFloat);
    return f.stand(0.6 * std::sin(t), 0.05 * c, origin + sway, rest);
}

}  // namespace fmgs
