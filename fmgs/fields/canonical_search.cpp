#include <fmgs/fields/canonical_search.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/range.h>
#include <fmgs/core/surfels.h>
#include <fmt/format.h>
#include <torch/autograd.h>

namespace fmgs {
namespace {

using torch::Tensor;

/// LBS(x) [P,3] and its Jacobian [P,3,3].
struct Skinned {
    Tensor position, jacobian;
};

Skinned skinned(const Tensor& x, const Tensor& bones, Skinning& skinning) {
    const torch::AutoGradMode guard(true);  // for the Jacobian alone
    const auto at = x.clone().requires_grad_();
    const auto T = blend_bones(skinning.forward(at), bones).narrow(1, 0, 3);
    const auto position =
        torch::matmul(T.narrow(2, 0, 3), at.unsqueeze(2)).squeeze(2) + T.select(2, 3);
    std::vector<Tensor> rows;  // no point knows of another: one pass for each coordinate
    for (int64_t k = 0; k < 3; ++k)
        rows.push_back(
            torch::autograd::grad({position.select(1, k).sum()}, {at}, {}, /*retain_graph=*/k < 2)
                .front());
    return {position, torch::stack(rows, 1)};
}

}  // namespace

CanonicalSearchImpl::CanonicalSearchImpl(const CanonicalSearchOptions& options)
    : options_(options) {
    if (options.iterations < 1 || !(options.largest_step > 0) || !(options.tolerance > 0))
        throw Error(fmt::format(
            "CanonicalSearch: expected positive options, got {} iterations, a step of {} and a "
            "tolerance of {}",
            options.iterations, options.largest_step, options.tolerance));
}

CanonicalPoints CanonicalSearchImpl::forward(const Tensor& posed, const Tensor& bones,
                                             Skinning& skinning, const Tensor& start) const {
    check_shape(posed, {-1, 3}, "CanonicalSearch: posed");
    check_shape(start, {posed.size(0), 3}, "CanonicalSearch: start");
    check_shape(bones, {-1, 4, 4}, "CanonicalSearch: bones");
    const torch::NoGradGuard guard;  // no gradient flows through the search
    auto x = start.clone(), best = x.clone();
    auto least = torch::full({x.size(0), 1}, INFINITY, x.options());
    for (int64_t k = 0; k <= options_.iterations; ++k) {
        const auto at = skinned(x, bones, skinning);
        const auto missed = at.position - posed;
        const auto distance = missed.square().sum(1, /*keepdim=*/true).sqrt();
        const auto closer = distance < least;
        best = torch::where(closer, x, best);
        least = torch::where(closer, distance, least);
        if (k == options_.iterations || (least <= options_.tolerance).all().item<bool>()) break;
        const auto step = std::get<0>(torch::linalg_solve_ex(at.jacobian, missed));
        x = x - step.nan_to_num(0, 0, 0).clamp(-options_.largest_step, options_.largest_step);
    }
    return {best, (least <= options_.tolerance).squeeze(1)};
}

std::shared_ptr<torch::nn::Module> CanonicalSearchImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, options_);
}

Tensor nearest_start(const Tensor& posed, const Body& body, const BodyPose& pose) {
    check_shape(posed, {-1, 3}, "nearest_start: posed");
    const torch::NoGradGuard guard;  // no gradient flows through the search
    const auto vertices = body.posed(pose).to(posed.scalar_type());
    std::vector<Tensor> nearest;
    for (const auto& part : posed.split(2048))
        nearest.push_back(std::get<1>(torch::cdist(part, vertices).min(1)));
    const auto weights = body.weights().to(posed.scalar_type());
    const auto T = blend_bones(
        nearest.empty() ? weights.narrow(0, 0, 0) : weights.index_select(0, torch::cat(nearest)),
        body.bones(pose).to(posed.scalar_type()));
    const auto moved = posed - T.narrow(1, 0, 3).select(2, 3);
    return torch::matmul(torch::inverse(T.narrow(1, 0, 3).narrow(2, 0, 3)), moved.unsqueeze(2))
        .squeeze(2);
}

}  // namespace fmgs
