#include <fmgs/fields/subspace_projection.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace fmgs {

SubspaceProjectionImpl::SubspaceProjectionImpl(int64_t dimension, int64_t rank, double sigmas)
    : sigmas_(sigmas) {
    if (dimension < 1 || rank < 1 || !(sigmas > 0))
        throw Error(
            fmt::format("SubspaceProjection: expected at least one dimension and direction, and "
                        "sigmas above 0, got {}, {} and {}",
                        dimension, rank, sigmas));
    mean_ = register_buffer("mean", torch::zeros({dimension}));
    basis_ = register_buffer("basis", torch::zeros({rank, dimension}));
    deviation_ = register_buffer("deviation", torch::zeros({rank}));
    weights_ = register_buffer("weights", torch::ones({dimension}));
    fitted_ = register_buffer("fitted", torch::zeros({}, torch::kInt64));
}

void SubspaceProjectionImpl::fit(const torch::Tensor& samples, const torch::Tensor& weights) {
    const torch::NoGradGuard guard;  // what is fitted is constant
    const int64_t dimension = mean_.size(0);
    check_shape(samples, {-1, dimension}, "samples of the projection");
    const auto given = weights.defined() ? weights : torch::ones({dimension});
    check_shape(given, {dimension}, "weights of the projection");
    const auto x = samples.to(torch::kCPU, torch::kDouble), w = given.to(x.options());
    const int64_t count = x.size(0);
    if (count == 0) throw Error("samples of the projection: expected at least one, got none");
    if (!x.isfinite().all().item<bool>() || !((w > 0) & w.isfinite()).all().item<bool>())
        throw Error("projection: expected finite samples, and finite weights above 0");

    const auto mean = x.mean(0);
    const auto [U, S, Vt] = at::linalg_svd((x - mean) * w, /*full_matrices=*/false);
    // What is smaller is the rounding of the mean.
    const double rounding = static_cast<double>(std::max(count, dimension)) *
                            std::numeric_limits<double>::epsilon() * (x * w).norm().item<double>();
    const int64_t spanned = (S > rounding).sum().item<int64_t>(),
                  rank = std::min({basis_.size(0), count - 1, spanned});
    basis_.zero_().slice(0, 0, rank).copy_(Vt.slice(0, 0, rank));
    deviation_.zero_()
        .slice(0, 0, rank)
        .copy_(S.slice(0, 0, rank) / std::sqrt(std::max<double>(1, double(count - 1))));
    mean_.copy_(mean);
    weights_.copy_(w);
    fitted_.fill_(1);
}

torch::Tensor SubspaceProjectionImpl::encode(const torch::Tensor& x) const {
    check_shape(x, {-1, mean_.size(0)}, "input of the projection");
    return torch::matmul((x - mean_) * weights_, basis_.t());
}

torch::Tensor SubspaceProjectionImpl::decode(const torch::Tensor& code) const {
    check_shape(code, {-1, basis_.size(0)}, "code of the projection");
    return mean_ + torch::matmul(code, basis_) / weights_;
}

torch::Tensor SubspaceProjectionImpl::limits() const {
    // A direction that is not there has no width, were the box infinite.
    return torch::where(deviation_ > 0, sigmas_ * deviation_, 0.0);
}

torch::Tensor SubspaceProjectionImpl::forward(const torch::Tensor& x) const {
    const auto limit = limits();
    return torch::where(fitted_ > 0, decode(encode(x).clamp(-limit, limit)), x);
}

std::shared_ptr<torch::nn::Module> SubspaceProjectionImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, mean_.size(0), basis_.size(0), sigmas_);
}

}  // namespace fmgs
