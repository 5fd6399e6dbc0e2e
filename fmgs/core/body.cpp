#include <fmgs/core/body.h>

#include <fmgs/core/check.h>

namespace fmgs {

torch::Tensor skin(const torch::Tensor& weights, const torch::Tensor& transforms,
                   const torch::Tensor& points) {
    const auto blended =
        torch::matmul(weights, transforms.slice(1, 0, 3).reshape({-1, 12})).view({-1, 3, 4});
    return torch::matmul(blended.slice(2, 0, 3), points.unsqueeze(2)).squeeze(2) +
           blended.select(2, 3);
}

torch::Tensor rigid(const torch::Tensor& rotation, const torch::Tensor& translation) {
    const auto bottom = torch::eye(4, rotation.options()).slice(0, 3).unsqueeze(0);
    return torch::cat({torch::cat({rotation, translation.unsqueeze(2)}, 2),
                       bottom.expand({rotation.size(0), 1, 4})},
                      1);
}

torch::Tensor Body::rest_bones() const {
    return rigid(torch::eye(3, joints().options()).expand({joint_count(), 3, 3}), joints());
}

torch::Tensor Body::posed(const BodyPose& pose) const {
    const auto B = bones(pose);
    return skin(weights().to(B.scalar_type()), B, canonical().vertices.to(B.scalar_type()));
}

torch::Tensor Body::local_rotations(const BodyPose& pose) const {
    const int64_t count = joint_count();
    if (!pose.bones.defined()) {
        check_shape(pose.rotations, {count, 3, 3}, "pose rotations");
        return pose.rotations;
    }
    check_shape(pose.bones, {count, 4, 4}, "pose bones");
    const auto linear = pose.bones.slice(1, 0, 3).slice(2, 0, 3);
    // Unit columns: a bone may also stretch.
    const auto global = linear / (linear.square().sum(1, true) + 1e-24).sqrt();
    const auto above = global.index_select(0, parents().slice(0, 1));
    return torch::cat(
        {global.slice(0, 0, 1), torch::matmul(above.transpose(1, 2), global.slice(0, 1))});
}

}  // namespace fmgs
