#include <fmgs/data/capture_poses.h>

#include <fmgs/core/check.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/fits/numbers.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

const std::shared_ptr<const BodyData>& RestJoints::body(const std::string& asker) const {
    if (body_) return body_;
    if (file_.empty())
        throw Error(fmt::format(
            "{}: its translations refer to the rest joints of the body: set "
            "data.body=FILE (convert: --body FILE) to the body that they were fitted with",
            asker));
    body_ = std::make_shared<BodyData>(read_body(file_));
    const auto regressor = body_->joint_regressor.to(torch::kDouble);
    rest_ = torch::matmul(regressor, body_->vertices.to(torch::kDouble));
    directions_ =
        torch::einsum("jv,vcb->jcb", {regressor, body_->shape_directions.to(torch::kDouble)});
    return body_;
}

torch::Tensor RestJoints::joints(const torch::Tensor& betas, const std::string& asker) const {
    const int64_t count = std::min(betas.size(0), body(asker)->shape_directions.size(2));
    return rest_ + torch::matmul(directions_.slice(2, 0, count),
                                 betas.slice(0, 0, count).to(torch::kDouble));
}

torch::Tensor RestJoints::root(const torch::Tensor& betas, const std::string& asker) const {
    return joints(betas, asker)[0];
}

std::pair<torch::Tensor, double> RestJoints::betas_of(const torch::Tensor& joints, int64_t count,
                                                      const std::string& asker) const {
    const int64_t most = std::min(count, body(asker)->shape_directions.size(2));
    const int64_t J = std::min(joints.size(0), rest_.size(0));
    const auto from_root = [&](const torch::Tensor& x) {
        return x.slice(0, 1, J) - x.slice(0, 0, 1);
    };
    const auto A = from_root(directions_.slice(2, 0, most)).reshape({-1, most});
    const auto b = (from_root(joints.to(torch::kDouble)) - from_root(rest_)).reshape({-1, 1});
    // Directions that no joint tells of stay 0.
    const auto betas = torch::matmul(torch::linalg_pinv(A, 1e-9), b);
    const auto left = (torch::matmul(A, betas) - b).reshape({-1, 3}).norm(2, 1);
    return {betas.reshape(-1), left.numel() ? left.max().item<double>() : 0};
}

PoseFile read_poses(const std::filesystem::path& file, const RestJoints& rest) {
    if (!has_bone_matrices(file)) return read_pose_file(file);
    const BodyModel body(*rest.body(file.string()), torch::Tensor());
    return read_pose_file(file, {.body = body.get()});
}

PoseFile pose_rows(const std::vector<SourcePose>& poses, Place place, const RestJoints& rest,
                   const std::string& asker) {
    if (poses.empty()) throw Error(fmt::format("{}: expected at least one pose, got none", asker));
    PoseFile out;
    std::vector<torch::Tensor> angles, places, betas, expressions;
    for (const auto& pose : poses) {
        angles.push_back(pose.angles);
        places.push_back(pose.place);
        if (pose.betas.defined()) betas.push_back(pose.betas);
        if (pose.expression.defined()) expressions.push_back(pose.expression);
    }
    if (!betas.empty()) {
        if (betas.size() != poses.size())
            throw Error(fmt::format("{}: betas in {} of {} frames; expected them in all or in none",
                                    asker, betas.size(), poses.size()));
        for (size_t i = 0; i < betas.size(); ++i) {
            if (betas[i].size(0) != betas[0].size(0) || angles[i].size(0) != angles[0].size(0))
                throw Error(
                    fmt::format("{}: expected {} betas and {} angles as in the first frame, "
                                "got {} and {} in row {}",
                                asker, betas[0].size(0), angles[0].size(0), betas[i].size(0),
                                angles[i].size(0), i));
        }
        out.betas = torch::stack(betas).mean(0);
    }
    if (expressions.size() == poses.size())
        out.expression = torch::stack(expressions).to(torch::kFloat);
    auto transl = torch::stack(places);
    if (place == Place::kRoot)
        transl =
            transl -
            rest.root(out.betas.defined() ? out.betas : torch::zeros({0}, torch::kDouble), asker);
    if (out.betas.defined()) out.betas = out.betas.to(torch::kFloat);
    const auto rows = torch::stack(angles).to(torch::kFloat);
    out.global_orient = rows.slice(1, 0, 3).contiguous();
    out.body_pose = rows.slice(1, 3).contiguous();
    out.transl = transl.to(torch::kFloat);
    return out;
}

PoseFile with_smpl_transl(const PoseFile& poses, const RestJoints& rest, const std::string& asker) {
    if (poses.place == Place::kSmpl && !poses.extrinsic.defined()) return poses;
    const auto betas = poses.betas.defined() ? poses.betas : torch::zeros({0});
    return poses.with_smpl_transl(rest.joints(betas, asker));
}

torch::Tensor turn_after(const torch::Tensor& first, const torch::Tensor& second) {
    // Exact where there is nothing to compose, as in most files.
    if (second.count_nonzero().item<int64_t>() == 0) return first;
    if (first.count_nonzero().item<int64_t>() == 0) return second;
    return log_map(torch::matmul(exp_map(first.unsqueeze(0)), exp_map(second.unsqueeze(0))))[0];
}

SourcePose pose_of_rh_th(const torch::Tensor& angles, const torch::Tensor& Rh,
                         const torch::Tensor& Th, const torch::Tensor& rest,
                         const torch::Tensor& betas) {
    const auto root = turn_after(Rh, angles.slice(0, 0, 3));
    const auto place = detail::root_of_rh_th(Rh.unsqueeze(0), Th.unsqueeze(0), rest)[0];
    return {torch::cat({root, angles.slice(0, 3)}), place, betas};
}

}  // namespace fmgs
