#pragma once
/// SMPL's joints by name: the one table that knows which number is which part of a body.
#include <array>
#include <cstdint>

namespace fmgs::smpl {

enum Joint : int64_t {
    kPelvis,
    kLeftHip,
    kRightHip,
    kSpine1,
    kLeftKnee,
    kRightKnee,
    kSpine2,
    kLeftAnkle,
    kRightAnkle,
    kSpine3,
    kLeftFoot,
    kRightFoot,
    kNeck,
    kLeftCollar,
    kRightCollar,
    kHead,
    kLeftShoulder,
    kRightShoulder,
    kLeftElbow,
    kRightElbow,
    kLeftWrist,
    kRightWrist,
    kLeftHand,
    kRightHand,
    kJoints
};

/// The joint above each; none above the pelvis.
inline constexpr std::array<int64_t, kJoints> kParents{
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21};

/// From the hip down.
using Leg = std::array<Joint, 4>;
inline constexpr Leg kLeftLeg{kLeftHip, kLeftKnee, kLeftAnkle, kLeftFoot};
inline constexpr Leg kRightLeg{kRightHip, kRightKnee, kRightAnkle, kRightFoot};
/// A body with fewer joints has no legs in this numbering.
inline constexpr int64_t kJointsWithLegs = kRightFoot + 1;

}  // namespace fmgs::smpl
