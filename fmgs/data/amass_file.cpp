#include <fmgs/data/amass_file.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/core/joints.h>
#include <fmgs/core/rotation.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

namespace {

constexpr int64_t kBody = smpl::kLeftHand;  // root and body, before hands
constexpr int64_t kJointsOfAmass = 52;      // SMPL-H's
constexpr int64_t kJointsOfSmplX = 55;      // a jaw and two eyes before the fingers

/// [J,3] → [156]
torch::Tensor row_of(const torch::Tensor& angles) {
    auto out = torch::zeros({kJointsOfAmass, 3}, torch::kDouble);
    const int64_t fingers = kJointsOfAmass - kBody;
    out.slice(0, 0, kBody).copy_(angles.slice(0, 0, kBody));
    if (angles.size(0) >= kJointsOfAmass)
        out.slice(0, kBody).copy_(angles.slice(0, angles.size(0) - fingers));
    return out.flatten();
}

}  // namespace

void write_amass(const std::filesystem::path& file, const std::vector<BodyPose>& poses,
                 const torch::Tensor& betas, double fps) {
    constexpr int64_t kBetas = 16;
    if (poses.empty()) throw Error("poses to be written: expected at least one, got none");
    std::vector<torch::Tensor> rows, places;
    for (const auto& pose : poses) {
        const int64_t J = pose.rotations.defined() ? pose.rotations.size(0) : 0;
        const bool known = J == smpl::kJoints || J == kJointsOfAmass || J == kJointsOfSmplX;
        if (!known || pose.bones.defined())
            throw Error(fmt::format(
                "{}: AMASS has the joints of SMPL; expected rotations of 24, 52 or 55, got {}",
                file.string(), pose.bones.defined() ? "bones" : fmt::format("{}", J)));
        rows.push_back(row_of(log_map(pose.rotations.to(torch::kCPU, torch::kDouble))));
        places.push_back(pose.translation.to(torch::kCPU, torch::kDouble));
    }
    auto shape = torch::zeros({kBetas}, torch::kDouble);
    const int64_t count = std::min<int64_t>(kBetas, betas.numel());
    shape.slice(0, 0, count).copy_(betas.flatten().slice(0, 0, count));
    auto gender = npy_array(std::vector<std::string>{"neutral"});
    gender.shape.clear();  // one text, as AMASS has it
    write_npz(file, {{"poses", npy_array(torch::stack(rows))},
                     {"trans", npy_array(torch::stack(places))},
                     {"betas", npy_array(shape)},
                     {"gender", gender},
                     {"mocap_framerate", npy_array(torch::tensor(fps, torch::kDouble))}});
}

}  // namespace fmgs
