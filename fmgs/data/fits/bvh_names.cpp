#include <fmgs/data/fits/bvh_names.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

namespace fmgs::detail {

namespace {

using Joints = std::array<int64_t, smpl::kJoints>;

bool is_upper(char c) { return std::isupper(static_cast<unsigned char>(c)) != 0; }
bool is_alnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

// "mixamorig:LeftUpLeg" → left, "upleg"; "lThigh", "thigh.L", "Bip01 L Thigh" → left, "thigh".
struct Name {
    char side = 0;  // 'l', 'r' or 0
    std::string part;
};

Name name_of(std::string raw) {
    if (const auto colon = raw.find_last_of(":|"); colon != raw.npos) raw = raw.substr(colon + 1);
    std::vector<std::string> words(1);
    for (const char c : raw) {
        if (is_alnum(c)) {
            words.back() += c;
        } else if (!words.back().empty()) {
            words.emplace_back();
        }
    }
    Name out;
    static const std::set<std::string> kEmpty{"bip01",      "bip001", "bip", "mixamorig", "mixamo",
                                              "character1", "def",    "jnt", "joint",     "bone",
                                              "avg",        "m",      "f"};
    for (auto& word : words) {
        const auto low = lower(word);
        if (low == "l" || low == "left") {
            out.side = 'l';
        } else if (low == "r" || low == "right") {
            out.side = 'r';
        } else if (!kEmpty.contains(low)) {
            // "lThigh", "LHipJoint"
            if (!out.side && word.size() > 2 && (low[0] == 'l' || low[0] == 'r') &&
                is_upper(word[1]) && !is_upper(word[2])) {
                out.side = low[0];
                out.part += low.substr(1);
            } else {
                out.part += low;
            }
        }
    }
    for (const auto& [text, side] : {std::pair<std::string, char>{"left", 'l'}, {"right", 'r'}}) {
        if (out.side) break;
        if (out.part.starts_with(text)) {
            out.side = side;
            out.part = out.part.substr(text.size());
        } else if (out.part.ends_with(text)) {
            out.side = side;
            out.part.resize(out.part.size() - text.size());
        }
    }
    return out;
}

class Skeleton {
  public:
    Skeleton(const Bvh& bvh, const std::string& what) : bvh_(bvh), what_(what) {
        for (const auto& joint : bvh.joints) names_.push_back(name_of(joint.name));
    }

    Joints match() {
        Joints out;
        out.fill(-1);
        for (const char side : {'l', 'r'}) match_side(side, out);
        match_middle(out);
        return out;
    }

  private:
    // The joint of this side with one of these names; of several, the first name's deepest one, so
    // that LeftUpLeg is taken and not the LHipJoint above it.
    int64_t find(char side, std::initializer_list<const char*> parts) const {
        for (const char* part : parts) {
            for (size_t k = names_.size(); k-- > 0;) {
                if (names_[k].side == side && names_[k].part == part)
                    return static_cast<int64_t>(k);
            }
        }
        return -1;
    }

    [[noreturn]] void refuse(const std::string& missing) const {
        std::string all;
        for (const auto& joint : bvh_.joints) {
            if (all.size() > 1500) {
                all += ", …";
                break;
            }
            all += (all.empty() ? "" : ", ") + joint.name;
        }
        throw Error(
            fmt::format("{}: the skeleton cannot be matched to SMPL's joints: no {}; its joints "
                        "are {}",
                        what_, missing, all));
    }

    void match_side(char side, Joints& out) const {
        const int64_t right = side == 'r' ? 1 : 0;
        const auto set = [&](smpl::Joint left_joint, int64_t found) {
            out[static_cast<size_t>(left_joint + right)] = found;
        };
        set(smpl::kLeftHip, find(side, {"upleg", "thigh", "upperleg", "hip", "hipjoint", "femur"}));
        set(smpl::kLeftKnee,
            find(side, {"knee", "shin", "lowerleg", "calf", "loleg", "lowleg", "leg", "tibia"}));
        const auto ankle = find(side, {"ankle"}), foot = find(side, {"foot"});
        const auto toe = find(side, {"toebase", "toe", "toes", "ball", "toe0"});
        set(smpl::kLeftAnkle, ankle >= 0 ? ankle : foot);
        set(smpl::kLeftFoot, toe >= 0 ? toe : ankle >= 0 ? foot : -1);
        // Mixamo's LeftShoulder is the collar bone; Biovision's is the upper arm.
        auto collar = find(side, {"collar", "clavicle", "scapula", "innershoulder"});
        auto arm = find(side, {"arm", "upperarm", "uparm", "shldr", "humerus"});
        const auto shoulder = find(side, {"shoulder"});
        if (arm < 0) {
            arm = shoulder;
        } else if (collar < 0) {
            collar = shoulder;
        }
        set(smpl::kLeftCollar, collar);
        set(smpl::kLeftShoulder, arm);
        set(smpl::kLeftElbow,
            find(side, {"elbow", "forearm", "lowerarm", "lowarm", "loarm", "radius"}));
        const auto wrist = find(side, {"wrist"}), hand = find(side, {"hand"});
        set(smpl::kLeftWrist, wrist >= 0 ? wrist : hand);
        const char* sides = side == 'l' ? "left" : "right";
        const std::pair<smpl::Joint, const char*> needed[] = {
            {smpl::kLeftHip, "hip or upper leg"},
            {smpl::kLeftKnee, "knee"},
            {smpl::kLeftAnkle, "ankle or foot"},
            {smpl::kLeftShoulder, "shoulder or upper arm"},
            {smpl::kLeftElbow, "elbow"}};
        for (const auto& [joint, words] : needed) {
            if (out[static_cast<size_t>(joint + right)] < 0)
                refuse(fmt::format("{} {}", sides, words));
        }
        check_chain(out, {smpl::kLeftHip, smpl::kLeftKnee, smpl::kLeftAnkle}, right);
        check_chain(out, {smpl::kLeftShoulder, smpl::kLeftElbow}, right);
    }

    // Each above the next in the tree.
    void check_chain(const Joints& out, std::initializer_list<smpl::Joint> chain,
                     int64_t right) const {
        int64_t above = -1;
        for (const auto joint : chain) {
            const int64_t k = out[static_cast<size_t>(joint + right)];
            if (above >= 0 && (k == above || !is_above(above, k)))
                refuse(fmt::format("limb in which {} follows {}",
                                   bvh_.joints[static_cast<size_t>(k)].name,
                                   bvh_.joints[static_cast<size_t>(above)].name));
            above = k;
        }
    }

    int64_t parent(int64_t k) const { return bvh_.joints[static_cast<size_t>(k)].parent; }
    bool is_above(int64_t a, int64_t k) const {
        while (k > a) k = parent(k);
        return k == a;
    }
    int64_t meeting(int64_t a, int64_t b) const {
        while (a != b) (a > b ? a : b) = parent(a > b ? a : b);
        return a;
    }

    void match_middle(Joints& out) const {
        out[smpl::kPelvis] = meeting(out[smpl::kLeftHip], out[smpl::kRightHip]);
        const int64_t chest = meeting(out[smpl::kLeftShoulder], out[smpl::kRightShoulder]);
        std::vector<int64_t> spine;  // from the pelvis to where the arms meet
        for (int64_t k = chest; k >= 0 && k != out[smpl::kPelvis]; k = parent(k))
            spine.insert(spine.begin(), k);
        if (!is_above(out[smpl::kPelvis], chest)) refuse("spine from the hips to the shoulders");
        if (!spine.empty()) out[smpl::kSpine3] = spine.back();
        if (spine.size() > 1) out[smpl::kSpine1] = spine.front();
        if (spine.size() > 2) out[smpl::kSpine2] = spine[spine.size() / 2];
        for (size_t k = names_.size(); k-- > 0;) {
            if (names_[k].side) continue;
            const auto& part = names_[k].part;
            if (part == "neck" || part == "neck1" || part == "neck01")
                out[smpl::kNeck] = static_cast<int64_t>(k);
            if (part == "head") out[smpl::kHead] = static_cast<int64_t>(k);
        }
    }

    const Bvh& bvh_;
    const std::string& what_;
    std::vector<Name> names_;
};

}  // namespace

Joints smpl_joints_of(const Bvh& bvh, const std::string& what) {
    return Skeleton(bvh, what).match();
}

}  // namespace fmgs::detail
