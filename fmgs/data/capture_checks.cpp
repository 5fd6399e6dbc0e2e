#include <fmgs/data/capture_checks.h>

#include <fmgs/core/check.h>
#include <fmgs/data/fits/checks.h>
#include <fmt/format.h>

namespace fmgs {

void check_body_sizes(const std::vector<SplitSource>& splits, const BodyData& body,
                      const std::string& file) {
    const int64_t body_joints = body.weights.size(1), directions = body.shape_directions.size(2);
    for (const auto& split : splits) {
        const auto& poses = split.poses;
        if (const int64_t joints = 1 + poses.body_pose.size(1) / 3; joints > body_joints)
            throw Error(fmt::format("{}: expected poses of at most {} joints, as {} has, got {}",
                                    split.pose_path.string(), body_joints, file, joints));
        if (poses.betas.defined() && poses.betas.size(0) > directions)
            throw Error(
                fmt::format("{}: betas: expected at most {}, the shape directions of {}, got {}",
                            split.pose_path.string(), directions, file, poses.betas.size(0)));
    }
}

void check_units(const std::vector<SplitSource>& splits) {
    constexpr double kFarthest = 100;  // metres from the camera
    constexpr double kLargest = 30;    // standard deviations of shape
    for (const auto& split : splits) {
        const auto& poses = split.poses;
        const double beta = poses.betas.defined() && poses.betas.numel() > 0
                                ? poses.betas.abs().max().item<double>()
                                : 0;
        double far = 0;
        std::string frame;
        const auto places = poses.transl.to(torch::kDouble);
        for (const auto& source : split.frames) {
            const auto& E = source.camera.extrinsic;
            const auto at = torch::mv(E.slice(0, 0, 3).slice(1, 0, 3), places[source.row]) +
                            E.slice(0, 0, 3).select(1, 3);
            if (const double away = at.norm().item<double>(); !(away <= far)) {
                far = away;
                frame = source.name;
            }
        }
        std::string problems;
        if (!(far <= kFarthest))
            problems += fmt::format(
                "the person of frame '{}' is {:g} m from the camera, expected at most {:g}: are "
                "its "
                "translations in millimetres? Divide them by 1000",
                frame, far, kFarthest);
        if (!(beta <= kLargest))
            problems += fmt::format(
                "{}a beta is {:g}, expected at most {:g}: are the betas of another body model, or "
                "scaled? Fit the shape again, or leave betas out",
                problems.empty() ? "" : "; ", beta, kLargest);
        if (const auto angles =
                detail::doubtful_angles(torch::cat({poses.global_orient, poses.body_pose}, 1));
            !angles.empty())
            problems += (problems.empty() ? "" : "; ") + angles;
        if (!problems.empty())
            throw Error(fmt::format("{}: {}", split.pose_path.string(), problems));
    }
}

torch::Tensor unify_betas(std::vector<SplitSource>& splits, const RestJoints& rest,
                          int64_t directions, std::vector<std::string>& notes) {
    auto& betas = splits.front().poses.betas;
    if (!betas.defined()) {
        betas = torch::zeros({directions});
        notes.push_back(fmt::format("{}: no betas; the mean shape is taken ({} zeros)",
                                    splits.front().pose_path.string(), directions));
    }
    for (auto& split : splits) {
        auto& poses = split.poses;
        if (!poses.betas.defined() ||
            (poses.betas.sizes() == betas.sizes() && torch::allclose(poses.betas, betas, 0, 1e-6)))
            continue;
        const auto asker =
            fmt::format("{}: its betas differ from the train split's", split.pose_path.string());
        const auto shift =
            (rest.root(poses.betas, asker) - rest.root(betas, asker)).to(torch::kFloat);
        poses.transl = poses.transl + shift;
        notes.push_back(
            fmt::format("{}: other betas than the train split's; its rotations are kept, its "
                        "translations moved by "
                        "{:.1f} mm",
                        split.pose_path.string(), 1000 * shift.norm().item<double>()));
    }
    return betas;
}

}  // namespace fmgs
