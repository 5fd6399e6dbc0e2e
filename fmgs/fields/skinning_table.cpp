#include <fmgs/fields/skinning_table.h>

#include <fmgs/core/body.h>
#include <fmgs/core/check.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace fmgs {

SkinningTableImpl::SkinningTableImpl(const torch::Tensor& weights, const torch::Tensor& pivot) {
    constexpr double kFloor = 1e-5;
    const torch::NoGradGuard guard;  // initial values
    check_shape(weights, {-1, -1}, "weights of the skinning table");
    auto born = weights.clone();
    if (pivot.defined()) {
        check_shape(pivot, {3}, "pivot of the skinning table");
        pivot_ = register_buffer("pivot", pivot.clone());
        born = torch::cat({born, torch::zeros_like(born.slice(1, 0, 1))}, 1);
    }
    born_ = register_buffer("born", born);
    logits_ = register_parameter("logits", born.clamp_min(kFloor).log());
}

torch::Tensor SkinningTableImpl::forward(const torch::Tensor& x) {
    check_shape(x, {logits_.size(0), 3}, "positions of the skinning table's surfels");
    return logits_.softmax(1);
}

torch::Tensor SkinningTableImpl::bones(const torch::Tensor& body) const {
    if (!pivot_.defined()) return body;
    const auto root = body[0].slice(0, 0, 3);
    const auto moved = torch::mv(root.slice(1, 0, 3), pivot_) + root.select(1, 3) - pivot_;
    const auto still = torch::eye(3, body.options().requires_grad(false)).unsqueeze(0);
    return torch::cat({body, rigid(still, moved.unsqueeze(0))});
}

std::shared_ptr<torch::nn::Module> SkinningTableImpl::clone(
    const std::optional<torch::Device>& device) const {
    const int64_t joints = born_.size(1) - (pivot_.defined() ? 1 : 0);
    return cloned(*this, device, born_.slice(1, 0, joints), pivot_);
}

}  // namespace fmgs
