#include <fmgs/core/constant.h>

#include <mutex>
#include <vector>

namespace fmgs {

struct Constant::Kept {
    torch::Tensor value;
    std::mutex mutex;
    std::vector<torch::Tensor> copies;
};

Constant::Constant(const torch::Tensor& value) : kept_(std::make_shared<Kept>()) {
    kept_->value = value;
}

torch::Tensor Constant::like(const torch::Tensor& x) const {
    const std::lock_guard lock(kept_->mutex);
    for (const auto& copy : kept_->copies) {
        if (copy.device() == x.device() && copy.scalar_type() == x.scalar_type()) return copy;
    }
    kept_->copies.push_back(kept_->value.to(x.device(), x.scalar_type()));
    return kept_->copies.back();
}

}  // namespace fmgs
