#include <fmgs/data/check/sides.h>

#include <fmgs/core/joints.h>
#include <torch/types.h>

namespace fmgs {

std::vector<int64_t> joint_sides(const Body& body) {
    using namespace smpl;
    const int64_t count = body.joint_count();
    if (count <= kRightShoulder) return {};
    const auto x = body.joints().select(1, 0);
    for (const auto& [left, right] :
         {std::pair{kLeftHip, kRightHip}, {kLeftShoulder, kRightShoulder}})
        if (x[left].item<double>() <= x[right].item<double>()) return {};
    std::vector<int64_t> sides(static_cast<size_t>(count), 0);
    const auto set = [&](std::initializer_list<Joint> joints, int64_t side) {
        for (const auto joint : joints)
            if (joint < count) sides[static_cast<size_t>(joint)] = side;
    };
    set({kLeftHip, kLeftKnee, kLeftAnkle, kLeftFoot, kLeftShoulder, kLeftElbow, kLeftWrist}, -1);
    set({kRightHip, kRightKnee, kRightAnkle, kRightFoot, kRightShoulder, kRightElbow, kRightWrist},
        1);
    if (count == kJoints) {  // with hands of many joints these numbers are others
        sides[kLeftHand] = -1;
        sides[kRightHand] = 1;
    }
    return sides;
}

}  // namespace fmgs
