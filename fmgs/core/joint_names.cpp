#include <fmgs/core/joint_names.h>

#include <fmgs/core/joints.h>

#include <string_view>

namespace fmgs {

namespace {

// In the order of smpl::Joint.
constexpr std::array<std::string_view, smpl::kJoints> kNames{
    "pelvis",     "left_hip",    "right_hip",    "spine1",      "left_knee",     "right_knee",
    "spine2",     "left_ankle",  "right_ankle",  "spine3",      "left_foot",     "right_foot",
    "neck",       "left_collar", "right_collar", "head",        "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist",   "right_wrist", "left_hand",     "right_hand"};

}  // namespace

std::vector<std::string> joint_names(int64_t count) {
    const bool is_smpl = count == smpl::kJoints, has_fingers = count == 52 || count == 55;
    const int64_t named = is_smpl ? smpl::kJoints : has_fingers ? int64_t{smpl::kLeftHand} : 0;
    std::vector<std::string> out;
    for (int64_t j = 0; j < count; ++j)
        out.push_back(j < named ? std::string(kNames[static_cast<size_t>(j)])
                                : "joint_" + std::to_string(j));
    return out;
}

}  // namespace fmgs
