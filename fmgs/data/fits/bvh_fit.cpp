// A BVH's motion on SMPL's joints.
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/fits/arrays.h>
#include <fmgs/data/fits/bvh_names.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fmgs::detail {

namespace {

using Joints = std::array<int64_t, smpl::kJoints>;

torch::Tensor vector_of(const std::array<double, 3>& x) {
    return torch::tensor({x[0], x[1], x[2]}, torch::kDouble);
}

// The skeleton's joints over time.
struct Posed {
    std::vector<torch::Tensor> rotation;  // [T,3,3] file's axes, identity at rest
    std::vector<torch::Tensor> place;     // [T,3] file's unit
    std::vector<torch::Tensor> rest;      // [3]
    int64_t moved = 0;                    // joints after the root with a place of their own
};

Posed pose_skeleton(const Bvh& bvh) {
    const auto values = torch::from_blob(const_cast<double*>(bvh.values.data()),
                                         {bvh.frames, bvh.columns}, torch::kDouble)
                            .clone();
    Posed out;
    for (const auto& joint : bvh.joints) {
        auto local = torch::eye(3, torch::kDouble).expand({bvh.frames, 3, 3});
        auto shift = vector_of(joint.offset).expand({bvh.frames, 3}).clone();
        for (size_t k = 0; k < joint.channels.size(); ++k) {
            const int kind = joint.channels[k];
            const auto column = values.select(1, joint.first_channel + static_cast<int64_t>(k));
            if (kind < 3) {
                if (joint.parent < 0) shift.select(1, kind).add_(column);
                continue;
            }
            auto turn = torch::zeros({bvh.frames, 3}, torch::kDouble);
            turn.select(1, kind - 3).copy_(column * (std::numbers::pi / 180));
            local = torch::matmul(local, exp_map(turn));  // each about the axes turned so far
        }
        out.moved += joint.parent >= 0 && joint.channels.size() > 3;
        if (joint.parent < 0) {
            out.rotation.push_back(local);
            out.place.push_back(shift);
            out.rest.push_back(vector_of(joint.offset));
            continue;
        }
        const auto up = static_cast<size_t>(joint.parent);
        out.place.push_back(out.place[up] +
                            torch::matmul(out.rotation[up], shift.unsqueeze(2)).squeeze(2));
        out.rotation.push_back(torch::matmul(out.rotation[up], local));
        out.rest.push_back(out.rest[up] + vector_of(joint.offset));
    }
    return out;
}

// Shortest rotation of unit a to unit b [3,3].
torch::Tensor shortest(const torch::Tensor& a, const torch::Tensor& b) {
    const auto axis = torch::linalg_cross(a, b);
    const double sine = axis.norm().item<double>(), cosine = a.dot(b).item<double>();
    if (sine < 1e-9) {
        if (cosine > 0) return torch::eye(3, torch::kDouble);
        auto other = torch::zeros({3}, torch::kDouble);
        other[a.abs().argmin().item<int64_t>()] = 1;
        const auto across = torch::linalg_cross(a, other);
        return exp_map((across / across.norm() * std::numbers::pi).unsqueeze(0))[0];
    }
    return exp_map((axis / sine * std::atan2(sine, cosine)).unsqueeze(0))[0];
}

class Retarget {
  public:
    Retarget(const Bvh& bvh, const Joints& joints, const std::string& what)
        : joints_(joints), posed_(pose_skeleton(bvh)), what_(what) {
        axes_ = body_axes();
        length_unit(bvh);
    }

    /// [T,72] axis-angle
    torch::Tensor rotations() const {
        std::vector<torch::Tensor> whole(smpl::kJoints), local(smpl::kJoints);
        for (size_t j = 0; j < smpl::kJoints; ++j) {
            const bool is_hand = j == smpl::kLeftHand || j == smpl::kRightHand;
            if (joints_[j] >= 0 && !is_hand) {
                whole[j] = torch::matmul(posed_.rotation[static_cast<size_t>(joints_[j])],
                                         torch::matmul(rest_turn(j), axes_));
            } else {
                whole[j] = whole[static_cast<size_t>(smpl::kParents[j])];
            }
            local[j] = j == 0 ? whole[j]
                              : torch::matmul(
                                    whole[static_cast<size_t>(smpl::kParents[j])].transpose(1, 2),
                                    whole[j]);
        }
        const auto all = torch::stack(local, 1);
        return log_map(all.reshape({-1, 3, 3})).reshape({all.size(0), 3 * smpl::kJoints});
    }

    torch::Tensor root() const {
        return posed_.place[static_cast<size_t>(joints_[smpl::kPelvis])] * metres_;
    }
    const std::string& unit() const { return unit_; }
    int64_t moved() const { return posed_.moved; }

  private:
    const torch::Tensor& rest(smpl::Joint j) const {
        return posed_.rest[static_cast<size_t>(joints_[j])];
    }

    // [3,3] columns: the body's left, up and forward at rest in the file's axes; SMPL's are x, y,
    // z.
    torch::Tensor body_axes() const {
        const auto shoulders = (rest(smpl::kLeftShoulder) + rest(smpl::kRightShoulder)) / 2;
        const auto hips = (rest(smpl::kLeftHip) + rest(smpl::kRightHip)) / 2;
        const auto up = straightened(shoulders - hips);
        auto left = rest(smpl::kLeftHip) - rest(smpl::kRightHip);
        left = straightened(left - up * left.dot(up));
        const auto forward = torch::linalg_cross(left, up);
        if (!(forward.norm().item<double>() > 0.5))
            throw Error(
                fmt::format("{}: expected a rest pose with the hips apart and the shoulders "
                            "above them",
                            what_));
        return torch::stack({left, up, forward}, 1);
    }

    // Unit. People rest along the axes of their file, even where their hips lie a little behind
    // their shoulders.
    static torch::Tensor straightened(const torch::Tensor& x) {
        const auto unit = x / x.norm().clamp_min(1e-12);
        const int64_t largest = unit.abs().argmax().item<int64_t>();
        const double share = unit[largest].item<double>();
        if (std::abs(share) < 0.9) return unit;
        auto axis = torch::zeros({3}, torch::kDouble);
        axis[largest] = share < 0 ? -1 : 1;
        return axis;
    }

    // What takes SMPL's rest bone to the file's rest bone, in the file's axes. SMPL rests as a T:
    // legs down, arms along x. Torso, head and feet are taken to rest alike: where a skeleton has
    // its joints in there says little about how the body stands.
    torch::Tensor rest_turn(size_t j) const {
        if (j == smpl::kLeftWrist || j == smpl::kRightWrist)
            return rest_turn(static_cast<size_t>(smpl::kParents[j]));
        static const std::pair<smpl::Joint, smpl::Joint> kLimbs[] = {
            {smpl::kLeftHip, smpl::kLeftKnee},       {smpl::kRightHip, smpl::kRightKnee},
            {smpl::kLeftKnee, smpl::kLeftAnkle},     {smpl::kRightKnee, smpl::kRightAnkle},
            {smpl::kLeftShoulder, smpl::kLeftElbow}, {smpl::kRightShoulder, smpl::kRightElbow},
            {smpl::kLeftElbow, smpl::kLeftWrist},    {smpl::kRightElbow, smpl::kRightWrist}};
        for (const auto& [from, to] : kLimbs) {
            if (j != static_cast<size_t>(from)) continue;
            // A forearm without a wrist rests as its upper arm.
            if (joints_[to] < 0) return rest_turn(static_cast<size_t>(smpl::kParents[j]));
            const auto bone = rest(to) - rest(from);
            const double length = bone.norm().item<double>();
            if (length < 1e-9) break;
            const auto smpl = from >= smpl::kLeftShoulder
                                  ? axes_.select(1, 0) * (from % 2 == 0 ? 1 : -1)
                                  : -axes_.select(1, 1);
            return shortest(smpl, bone / length);
        }
        return torch::eye(3, torch::kDouble);
    }

    // The unit in which the legs are as long as people's.
    void length_unit(const Bvh& bvh) {
        double leg = 0;
        for (const auto& [hip, knee, ankle] :
             {std::tuple{smpl::kLeftHip, smpl::kLeftKnee, smpl::kLeftAnkle},
              std::tuple{smpl::kRightHip, smpl::kRightKnee, smpl::kRightAnkle}}) {
            leg += ((rest(knee) - rest(hip)).norm() + (rest(ankle) - rest(knee)).norm())
                       .item<double>() /
                   2;
        }
        if (!(leg > 1e-9))
            throw Error(fmt::format("{}: expected legs of some length, got {}", what_, leg));
        double low = INFINITY, high = -INFINITY;
        for (size_t k = 0; k < posed_.rest.size(); ++k) {
            for (const auto& end : {std::array<double, 3>{}, bvh.joints[k].end}) {
                const double y =
                    (posed_.rest[k] + vector_of(end)).dot(axes_.select(1, 1)).item<double>();
                low = std::min(low, y), high = std::max(high, y);
            }
        }
        static const std::pair<const char*, double> kUnits[] = {
            {"metres", 1},      {"feet", 0.3048},      {"decimetres", 0.1},
            {"inches", 0.0254}, {"centimetres", 0.01}, {"millimetres", 0.001}};
        for (const auto& [name, metres] : kUnits) {
            if (leg * metres < 0.55 || leg * metres > 1.05) continue;
            metres_ = metres;
            unit_ =
                fmt::format("{} by the skeleton's height of {:.2f} m", name, (high - low) * metres);
            return;
        }
        metres_ = 0.8 / leg;
        unit_ = fmt::format("no usual unit, scaled by {:.4g} to legs of 0.8 m", metres_);
    }

    const Joints& joints_;
    Posed posed_;
    const std::string& what_;
    torch::Tensor axes_;
    double metres_ = 1;
    std::string unit_;
};

}  // namespace

bool is_bvh(const std::filesystem::path& file) {
    const auto head = read_first(file, 256);
    const auto first = head.find_first_not_of("\xEF\xBB\xBF \t\r\n");
    return first != head.npos && head.compare(first, 9, "HIERARCHY") == 0;
}

Fit read_bvh_fit(const std::filesystem::path& file) {
    const auto what = file.string();
    const Bvh bvh = parse_bvh(read_text(file), what);
    // A joint without channels costs a file nothing and each frame 100 bytes here.
    if (static_cast<int64_t>(bvh.joints.size()) > 20000000 / bvh.frames)
        throw Error(
            fmt::format("{}: {} frames of {} joints, expected at most 20 million joints in "
                        "all; cut the motion",
                        what, bvh.frames, bvh.joints.size()));
    const auto joints = smpl_joints_of(bvh, what);
    const Retarget retarget(bvh, joints, what);
    Fit fit;
    fit.layout = fmt::format("BVH of {} joints", bvh.joints.size());
    fit.fps = 1 / bvh.frame_time;
    std::vector<bool> used(bvh.joints.size());
    for (const int64_t k : joints) {
        if (k >= 0) used[static_cast<size_t>(k)] = true;
    }
    const auto count = std::count(used.begin(), used.end(), true);
    fit.notes.push_back(fmt::format("{} of its joints matched by name", count));
    fit.notes.push_back(retarget.unit());
    if (retarget.moved() > 0)
        fit.notes.push_back(
            fmt::format("translations of {} joints after the root left out", retarget.moved()));
    Track track;
    track.rotations = retarget.rotations();
    track.transl = retarget.root();
    track.place = Place::kRoot;
    fit.people.push_back(std::move(track));
    return fit;
}

}  // namespace fmgs::detail
