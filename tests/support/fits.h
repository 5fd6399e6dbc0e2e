#pragma once
/// The motion of tests/data/make_fits.py as it must come out of every layout.
#include <fmgs/core/body_model.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/pose_file.h>

#include "support/test.h"

namespace fmgs::test {

inline std::filesystem::path fit_path(const std::string& name) {
    return std::filesystem::path(FMGS_SOURCE_DIR) / "tests/data/fits" / name;
}

/// A body whose vertices are its joints: [24,3], SMPL's tree.
inline BodyModel stick_body(const torch::Tensor& joints) {
    BodyData body;
    body.vertices = joints.to(torch::kFloat);
    body.faces = torch::tensor({{0, 1, 2}, {3, 6, 9}}, torch::kLong);
    body.weights = torch::eye(24);
    body.joint_regressor = torch::eye(24);
    body.parents = torch::tensor(
        {-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21},
        torch::kLong);
    body.shape_directions = torch::zeros({24, 3, 0});
    return BodyModel(body, torch::zeros({0}));
}

/// What the files hold, in the camera (identity, y down) or in one of two worlds.
struct FitTruth {
    torch::Tensor rotations;  ///< [8,24,3,3]
    torch::Tensor transl;     ///< [8,3] SMPL's
    torch::Tensor betas;      ///< [10]
    torch::Tensor joints;     ///< [24,3]

    /// `space`: "" the camera, "y_up_" or "z_up_"
    explicit FitTruth(const std::string& space = "") {
        const auto file = read_npz(fit_path("truth.npz"));
        const auto orient = file.at(space + "orient").tensor();
        const auto poses = torch::cat({orient, file.at("body").tensor()}, 1);
        rotations = exp_map(poses.reshape({-1, 3})).reshape({-1, 24, 3, 3});
        joints = file.at("joints").tensor();
        betas = file.at("betas").tensor();
        transl = space.empty() ? file.at("transl").tensor()
                               : file.at(space + "root").tensor() - joints[0];
    }
};

inline torch::Tensor rotations_of(const PoseFile& file) {
    const auto poses = torch::cat({file.global_orient, file.body_pose}, 1).to(torch::kDouble);
    return exp_map(poses.reshape({-1, 3})).reshape({file.count(), -1, 3, 3});
}

/// Largest difference between the poses read and the truth, over its rows `frames` (all of them
/// where it is empty) and the joints that the file has; infinity when the counts differ.
inline double difference(const PoseFile& read, const FitTruth& truth,
                         const std::vector<int64_t>& frames = {}) {
    auto rows = frames.empty() ? torch::arange(truth.transl.size(0)) : torch::tensor(frames);
    if (read.count() != rows.size(0)) return INFINITY;
    const auto file = read.with_smpl_transl(truth.joints);
    const auto R = rotations_of(file);
    const auto wanted = truth.rotations.index_select(0, rows).slice(1, 0, R.size(1));
    return std::max(distance(R, wanted), distance(file.transl, truth.transl.index_select(0, rows)));
}

}  // namespace fmgs::test
