#include <fmgs/losses/iso.h>

#include <fmgs/core/check.h>

namespace fmgs {
namespace {

// Distances of rows of x [N,d] to their neighbours [N,k]: [N,k]. The 1e-20 keeps the gradient of
// coinciding points finite.
torch::Tensor distances(const torch::Tensor& x, const torch::Tensor& neighbours) {
    const auto other = x.index_select(0, neighbours.flatten())
                           .view({neighbours.size(0), neighbours.size(1), x.size(1)});
    return ((x.unsqueeze(1) - other).square().sum(2) + 1e-20).sqrt();
}

torch::Tensor isometry(const torch::Tensor& canonical, const torch::Tensor& observed,
                       const torch::Tensor& neighbours) {
    check_shape(neighbours, {canonical.size(0), -1}, "neighbours");
    return (distances(canonical, neighbours) - distances(observed, neighbours)).abs().mean();
}

// tangents [N,3,2], columns a and b → the six entries of aaᵀ + bbᵀ, [N,6].
torch::Tensor covariance(const torch::Tensor& tangents) {
    const auto x = tangents.select(1, 0), y = tangents.select(1, 1), z = tangents.select(1, 2);
    return torch::stack({(x * x).sum(1), (x * y).sum(1), (x * z).sum(1), (y * y).sum(1),
                         (y * z).sum(1), (z * z).sum(1)},
                        1);
}

std::shared_ptr<const SurfelSetImpl> given(std::shared_ptr<const SurfelSetImpl> surfels) {
    if (!surfels) throw Error("iso loss: expected surfels, got null");
    return surfels;
}

}  // namespace

IsoPositionLoss::IsoPositionLoss(std::shared_ptr<const SurfelSetImpl> surfels)
    : surfels_(given(std::move(surfels))) {}

torch::Tensor IsoPositionLoss::forward(const LossInput& input) {
    return isometry(input.canonical.position, input.posed.center, surfels_->neighbours());
}

IsoCovarianceLoss::IsoCovarianceLoss(std::shared_ptr<const SurfelSetImpl> surfels)
    : surfels_(given(std::move(surfels))) {}

torch::Tensor IsoCovarianceLoss::forward(const LossInput& input) {
    const auto tangents =
        input.canonical.rotation.narrow(2, 0, 2) * input.canonical.scale.unsqueeze(1);
    return isometry(covariance(tangents), covariance(input.posed.tangents), surfels_->neighbours());
}

}  // namespace fmgs
