#include <fmgs/losses/iso.h>

#include <fmgs/core/check.h>
#include <fmgs/core/operators.h>
#include <fmgs/core/rows.h>
#include <fmgs/core/surfel_rows.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

namespace fmgs {
namespace {

// Distances of rows of x [N,d] to their neighbours [N,k]: [N,k]. The 1e-20 keeps the gradient of
// coinciding points finite.
torch::Tensor distances(const torch::Tensor& x, const torch::Tensor& neighbours) {
    const auto other = x.index_select(0, neighbours.flatten())
                           .view({neighbours.size(0), neighbours.size(1), x.size(1)});
    return ((x.unsqueeze(1) - other).square().sum(2) + 1e-20).sqrt();
}

/// The same on a CPU, pair by pair, for both sides at once.
class Isometry : public torch::autograd::Function<Isometry> {
  public:
    using Context = torch::autograd::AutogradContext;
    using Variables = torch::autograd::variable_list;

    static torch::Tensor forward(Context* context, const torch::Tensor& canonical,
                                 const torch::Tensor& observed, const torch::Tensor& neighbours) {
        const at::AutoDispatchBelowADInplaceOrView below;
        const Variables in{canonical.contiguous(), observed.contiguous(), neighbours.contiguous()};
        const auto sums = torch::empty({canonical.size(0)}, canonical.options());
        AT_DISPATCH_FLOATING_TYPES(canonical.scalar_type(), "isometry", [&] {
            using T = scalar_t;
            const Pairs<T> c(in[0], in[2]), o(in[1], in[2]);
            T* sum = sums.mutable_data_ptr<T>();
            detail::for_rows(sums.size(0), [&](int64_t n) {
                sum[n] = 0;
                for (int64_t k = 0; k < c.count; ++k)
                    sum[n] += std::abs(c.distance(n, k) - o.distance(n, k));
            });
        });
        context->save_for_backward(in);
        return sums.sum() / double(neighbours.numel());
    }

    static Variables backward(Context* context, const Variables& grads) {
        const auto in = context->get_saved_variables();
        const at::AutoDispatchBelowADInplaceOrView below;
        Variables out(3);
        for (size_t side : {0, 1})
            if (context->needs_input_grad(side)) out[side] = torch::zeros_like(in[side]);
        AT_DISPATCH_FLOATING_TYPES(in[0].scalar_type(), "isometry_backward", [&] {
            using T = scalar_t;
            const Pairs<T> c(in[0], in[2]), o(in[1], in[2]);
            const T each = *grads[0].const_data_ptr<T>() / T(in[2].numel());
            T* to[2];
            for (size_t side : {0, 1})
                to[side] = out[side].defined() ? out[side].mutable_data_ptr<T>() : nullptr;
            for (int64_t n = 0; n < in[0].size(0); ++n) {
                for (int64_t k = 0; k < c.count; ++k) {
                    const T was = c.distance(n, k), is = o.distance(n, k);
                    const T sign = T(was > is) - T(was < is);
                    if (to[0]) c.add_gradient(n, k, each * sign / was, to[0]);
                    if (to[1]) o.add_gradient(n, k, -each * sign / is, to[1]);
                }
            }
        });
        return detail::once_differentiable("isometry", {grads[0], in[0], in[1]}, out);
    }

  private:
    /// Rows of x [N,d] with their neighbours [N,k].
    template <class T>
    struct Pairs {
        const T* x;
        const int64_t* neighbour;
        int64_t width, count;

        Pairs(const torch::Tensor& rows, const torch::Tensor& neighbours)
            : x(rows.const_data_ptr<T>()),
              neighbour(neighbours.const_data_ptr<int64_t>()),
              width(rows.size(1)),
              count(neighbours.size(1)) {}
        T distance(int64_t n, int64_t k) const {
            const T *a = x + width * n, *b = x + width * neighbour[count * n + k];
            T sum = 0;
            for (int64_t d = 0; d < width; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
            return std::sqrt(sum + T(1e-20));
        }
        /// Of `scale` times half the square of that distance.
        void add_gradient(int64_t n, int64_t k, T scale, T* to) const {
            const int64_t a = width * n, b = width * neighbour[count * n + k];
            for (int64_t d = 0; d < width; ++d) {
                const T g = scale * (x[a + d] - x[b + d]);
                to[a + d] += g;
                to[b + d] -= g;
            }
        }
    };
};

torch::Tensor isometry(const torch::Tensor& canonical, const torch::Tensor& observed,
                       const torch::Tensor& neighbours) {
    check_shape(neighbours, {canonical.size(0), -1}, "neighbours");
    check_shape(observed, {canonical.size(0), -1}, "observed rows");
    if (detail::takes_rows(canonical)) return Isometry::apply(canonical, observed, neighbours);
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
