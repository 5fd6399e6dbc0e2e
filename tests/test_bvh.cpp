// BVH: the text, the names of joints, and the motion on SMPL's body.
#include <fmgs/core/io/files.h>
#include <fmgs/core/joints.h>
#include <fmgs/data/fits/bvh.h>
#include <fmgs/data/fits/bvh_names.h>

#include "support/fits.h"

using namespace fmgs;
using namespace fmgs::test;
using namespace fmgs::detail;

namespace {

constexpr const char* kSmall = R"(HIERARCHY
ROOT Hips
{
  OFFSET 1 2 3
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Spine 1
  {
    OFFSET 0 1 0
    CHANNELS 1 Yrotation
    End Site
    {
      OFFSET 0 2 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.05
0 0 0 90 0 0 45
1 2 3 -1e1 0 0 +4
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    REQUIRE(at != text.npos);
    return text.replace(at, from.size(), to);
}

bool refused(const std::string& text, const std::string& words) {
    return throws_error([&] { parse_bvh(text, "FILE"); }, words);
}

// A skeleton of these names, each hanging on the one before up to the last `.`, as "Hips>Spine".
Bvh skeleton(const std::vector<std::pair<std::string, int64_t>>& joints) {
    Bvh out;
    for (const auto& [name, parent] : joints)
        out.joints.push_back({.name = name, .parent = parent});
    return out;
}

std::string matched(const Bvh& bvh, smpl::Joint joint) {
    const auto k = smpl_joints_of(bvh, "FILE")[joint];
    return k < 0 ? std::string("none") : bvh.joints[static_cast<size_t>(k)].name;
}

}  // namespace

TEST_CASE("a BVH is read with names that hold spaces, and any line ends", "[bvh]") {
    for (const std::string& text :
         {std::string(kSmall), replaced(kSmall, "MOTION\n", "MOTION\r\n")}) {
        const auto bvh = parse_bvh(text, "FILE");
        REQUIRE(bvh.joints.size() == 2);
        REQUIRE(bvh.joints[1].name == "Spine 1");
        REQUIRE(bvh.joints[1].parent == 0);
        REQUIRE(bvh.joints[1].channels == std::vector<int>{4});
        REQUIRE(bvh.joints[1].first_channel == 6);
        REQUIRE(bvh.joints[1].end[1] == 2);
        REQUIRE(bvh.frames == 2);
        REQUIRE(bvh.frame_time == 0.05);
        REQUIRE(bvh.values[10] == -10);
        REQUIRE(bvh.values[13] == 4);
    }
}

TEST_CASE("a damaged BVH is an Error with the line", "[bvh]") {
    REQUIRE(refused("", "FILE:1: expected HIERARCHY, got 'the end of the file'"));
    REQUIRE(refused(replaced(kSmall, "Zrotation", "Wrotation"), "FILE:5: expected a channel"));
    REQUIRE(
        refused(replaced(kSmall, "OFFSET 0 1 0", "OFFSET 0 nan 0"), "FILE:8: expected a finite"));
    REQUIRE(
        refused(replaced(kSmall, "Frames: 2", "Frames: 3"), "FILE:21: expected a finite number"));
    REQUIRE(refused(replaced(kSmall, "Frames: 2", "Frames: 1"), "expected the end after 1 frames"));
    REQUIRE(refused(replaced(kSmall, "Frames: 2", "Frames: 99999999"), "the file ends before"));
    REQUIRE(refused(replaced(kSmall, "Frames: 2", "Frames: 0"), "at least one frame"));
    REQUIRE(refused(replaced(kSmall, "0.05", "0"), "expected a positive Frame Time"));
    REQUIRE(refused(replaced(kSmall, "MOTION", "ROOT x"), "expected one skeleton"));
    REQUIRE(
        refused(replaced(kSmall, "CHANNELS 1 Y", "CHANNELS 9 Y"), "expected a number of channels"));
    std::string deep = "HIERARCHY\nROOT a\n";
    for (int i = 0; i < 100000; ++i) deep += "{ JOINT b\n";
    REQUIRE(refused(deep, "expected a skeleton of fewer joints"));
}

TEST_CASE("T-pose and A-pose skeletons of two families give the motion that they were made of",
          "[bvh]") {
    FitTruth truth;
    const auto t_pose = read_pose_file(fit_path("t_pose.bvh"));
    CHECK(difference(t_pose, truth) <= 1e-4);  // six digits of degrees and centimetres
    const auto a_pose = read_pose_file(fit_path("a_pose.bvh"));
    // It is z up, by a quarter turn about x: the same motion in that world.
    const auto turn = exp_map(torch::tensor({{M_PI / 2, 0., 0.}}, torch::kDouble))[0];
    const auto root = truth.transl + truth.joints[0];
    truth.rotations.select(1, 0).copy_(torch::matmul(turn, truth.rotations.select(1, 0)));
    truth.transl = torch::matmul(root, turn.t()) - truth.joints[0];
    CHECK(difference(a_pose, truth) <= 1e-4);
    const auto said = [](const PoseFile& file, const std::string& words) {
        return std::any_of(file.notes.begin(), file.notes.end(),
                           [&](const auto& note) { return note.find(words) != note.npos; });
    };
    CHECK(said(t_pose, "centimetres by the skeleton's height of"));
    CHECK(said(a_pose, "inches by the skeleton's height of"));
    CHECK(said(t_pose, "22 of its joints matched by name"));
}

TEST_CASE("joints are known by the names of several programs", "[bvh]") {
    // CMU: a dummy above each leg, two spine joints.
    const auto cmu =
        skeleton({{"Hips", -1},     {"LHipJoint", 0},      {"LeftUpLeg", 1},  {"LeftLeg", 2},
                  {"LeftFoot", 3},  {"RHipJoint", 0},      {"RightUpLeg", 5}, {"RightLeg", 6},
                  {"RightFoot", 7}, {"LowerBack", 0},      {"Spine", 9},      {"Neck", 10},
                  {"Head", 11},     {"LeftShoulder", 10},  {"LeftArm", 13},   {"LeftForeArm", 14},
                  {"LeftHand", 15}, {"RightShoulder", 10}, {"RightArm", 17},  {"RightForeArm", 18},
                  {"RightHand", 19}});
    CHECK(matched(cmu, smpl::kPelvis) == "Hips");
    CHECK(matched(cmu, smpl::kLeftHip) == "LeftUpLeg");
    CHECK(matched(cmu, smpl::kSpine1) == "LowerBack");
    CHECK(matched(cmu, smpl::kSpine3) == "Spine");
    CHECK(matched(cmu, smpl::kLeftCollar) == "LeftShoulder");
    CHECK(matched(cmu, smpl::kRightShoulder) == "RightArm");
    CHECK(matched(cmu, smpl::kLeftFoot) == "none");
    // DAZ and Poser.
    const auto daz = skeleton({{"hip", -1},
                               {"abdomen", 0},
                               {"chest", 1},
                               {"lCollar", 2},
                               {"lShldr", 3},
                               {"lForeArm", 4},
                               {"lHand", 5},
                               {"rCollar", 2},
                               {"rShldr", 7},
                               {"rForeArm", 8},
                               {"rHand", 9},
                               {"lThigh", 0},
                               {"lShin", 11},
                               {"lFoot", 12},
                               {"rThigh", 0},
                               {"rShin", 14},
                               {"rFoot", 15}});
    CHECK(matched(daz, smpl::kLeftShoulder) == "lShldr");
    CHECK(matched(daz, smpl::kRightKnee) == "rShin");
    CHECK(matched(daz, smpl::kSpine3) == "chest");
    CHECK(matched(daz, smpl::kHead) == "none");
}

TEST_CASE("sides stand in front of a joint's name or behind it", "[bvh]") {
    // SMPL's own names, and Blender's sides behind.
    const auto own = skeleton({{"Pelvis", -1},
                               {"L_Hip", 0},
                               {"L_Knee", 1},
                               {"L_Ankle", 2},
                               {"L_Foot", 3},
                               {"hip.R", 0},
                               {"knee.R", 5},
                               {"foot.R", 6},
                               {"Spine1", 0},
                               {"L_Collar", 8},
                               {"L_Shoulder", 9},
                               {"L_Elbow", 10},
                               {"L_Wrist", 11},
                               {"L_Hand", 12},
                               {"shoulder.R", 8},
                               {"upper_arm.R", 14},
                               {"forearm.R", 15}});
    CHECK(matched(own, smpl::kLeftAnkle) == "L_Ankle");
    CHECK(matched(own, smpl::kLeftFoot) == "L_Foot");
    CHECK(matched(own, smpl::kLeftWrist) == "L_Wrist");
    CHECK(matched(own, smpl::kRightCollar) == "shoulder.R");
    CHECK(matched(own, smpl::kRightShoulder) == "upper_arm.R");
}

TEST_CASE("a skeleton that is no person is refused with the list of its joints", "[bvh]") {
    REQUIRE(throws_error(
        [] {
            smpl_joints_of(skeleton({{"Tail", -1}, {"Wing", 0}}), "FILE");
        },
        "FILE: the skeleton cannot be matched to SMPL's joints: no left hip or "
        "upper leg; its joints are Tail, Wing"));
    const TemporaryFolder folder;
    write_whole(folder.path / "m.bvh", kSmall);
    REQUIRE(throws_error([&] { read_pose_file(folder.path / "m.bvh"); },
                         "its joints are Hips, Spine 1"));
}
