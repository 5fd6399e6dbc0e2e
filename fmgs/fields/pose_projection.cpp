#include <fmgs/fields/pose_projection.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace fmgs {

torch::Tensor turned_vertices(const Body& body) {
    const torch::NoGradGuard guard;  // a constant of the body
    auto turned = body.weights().sum(0).to(torch::kCPU, torch::kDouble);
    const auto parents = body.parents().cpu();
    for (int64_t j = turned.size(0) - 1; j > 0; --j)  // children come after their parents
        turned[parents[j].item<int64_t>()] += turned[j];
    return turned.clamp_min(1);
}

PoseProjectionImpl::PoseProjectionImpl(const torch::Tensor& turned,
                                       const PoseProjectionOptions& options)
    : options_(options) {
    check_ranges(options, "avatar.pose_projection");
    check_shape(turned, {-1}, "turned vertices");
    if (turned.size(0) < 2)
        throw Error(
            "avatar.pose_projection: the body has one joint, whose turn is no articulation "
            "to project; set avatar.pose_projection.components to 0");
    turned_ = register_buffer("turned", turned.clone().to(torch::kFloat));
    subspace_ = register_module("subspace", SubspaceProjection(9 * (turned.size(0) - 1),
                                                               options.components, options.sigmas));
}

void PoseProjectionImpl::fit(const torch::Tensor& rotations) {
    check_shape(rotations, {-1, turned_.size(0), 3, 3}, "rotations of the training poses");
    subspace_->fit(rotations.slice(1, 1).flatten(1),
                   turned_.sqrt().slice(0, 1).repeat_interleave(9));
}

torch::Tensor PoseProjectionImpl::forward(const torch::Tensor& rotations) const {
    check_shape(rotations, {turned_.size(0), 3, 3}, "rotations");
    const auto near = subspace_->forward(rotations.slice(0, 1).reshape({1, -1}));
    return torch::cat({rotations.slice(0, 0, 1), near.view({-1, 3, 3})});
}

std::shared_ptr<torch::nn::Module> PoseProjectionImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, turned_, options_);
}

}  // namespace fmgs
