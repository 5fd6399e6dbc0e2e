#include <fmgs/run/fit_test_poses.h>

#include <fmgs/core/check.h>
#include <fmgs/losses/mask.h>
#include <fmgs/losses/objective.h>
#include <fmgs/losses/photometric.h>
#include <fmgs/train/optim.h>
#include <fmt/format.h>

namespace fmgs {

BodyPose fit_test_pose(const Run& run, const Frame& taken) {
    if (taken.pose.bones.defined())
        throw Error(fmt::format(
            "--fit-test-poses: frame '{}' has bones instead of joint rotations, which are not "
            "fitted",
            taken.name));
    const auto& eval = run.options.eval;
    PoseTable table(
        std::vector<BodyPose>{{taken.pose.rotations.detach(), taken.pose.translation.detach()}});
    Objective objective;
    objective->add("photometric",
                   std::make_shared<PhotometricLoss>(run.options.objective.losses.photometric), 1.0,
                   Reach::everything());
    objective->add("mask", std::make_shared<MaskLoss>(), 1.0, Reach::everything());
    OptimOptions rates;
    rates.pose_root = rates.pose_joints = rates.pose_translation = eval.fit_rate;
    rates.decay = 1;
    Optimizer optimizer(grouped_parameters(*table.ptr()), rates);
    for (int64_t step = 0; step < eval.fit_epochs; ++step) {
        const auto surfels = run.avatar.ptr()->forward(taken.camera, table->forward(0));
        const auto report = objective->forward(surfels, taken, Random{}, 1);
        optimizer.zero_grad();
        report.total.backward();
        if (const auto name = optimizer.step(0))
            throw Error(
                fmt::format("--fit-test-poses: frame '{}': the gradient of the {} is not "
                            "finite",
                            taken.name, *name));
    }
    const torch::NoGradGuard guard;
    const auto fitted = table->forward(0);
    return {fitted.rotations, fitted.translation};
}

}  // namespace fmgs
