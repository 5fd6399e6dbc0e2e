/// The CPU backend of fmgs::hash_encode.
#include <ATen/Dispatch.h>
#include <fmgs/fields/hash/hash_kernels.h>
#include <torch/library.h>

namespace fmgs::detail {
namespace {

/// Calls f(integral_constant<F>) so that the loops over the usual two features unroll; 0 stands for
/// any count.
template <class Function>
void with_features(int64_t features, Function&& f) {
    switch (features) {
        case 1:
            return f(std::integral_constant<int64_t, 1>{});
        case 2:
            return f(std::integral_constant<int64_t, 2>{});
        case 4:
            return f(std::integral_constant<int64_t, 4>{});
        default:
            return f(std::integral_constant<int64_t, 0>{});
    }
}

Tensor hash_encode_cpu(const EncodeInputs& in) {
    const int64_t features = in.table.size(1);
    auto out = torch::empty({in.x.size(0), static_cast<int64_t>(in.levels.size()) * features},
                            in.table.options());
    AT_DISPATCH_FLOATING_TYPES(in.table.scalar_type(), "hash_encode", [&] {
        with_features(features, [&](auto F) { forward_kernel<scalar_t, F()>(in, out); });
    });
    return out;
}

std::tuple<Tensor, Tensor> hash_encode_cpu_backward(const EncodeInputs& in, const Tensor& grad,
                                                    std::array<bool, 2> needs) {
    Tensor grad_table, grad_x;
    if (needs[0]) grad_table = torch::empty(in.table.sizes(), in.table.options());
    if (needs[1]) grad_x = torch::empty(in.x.sizes(), in.x.options());
    AT_DISPATCH_FLOATING_TYPES(in.table.scalar_type(), "hash_encode_backward", [&] {
        with_features(in.table.size(1), [&](auto features) {
            constexpr int64_t F = features();
            if (needs[0]) table_backward_kernel<scalar_t, F>(in, grad, grad_table);
            if (needs[1]) position_backward_kernel<scalar_t, F>(in, grad, grad_x);
        });
    });
    return {grad_table, grad_x};
}

}  // namespace
}  // namespace fmgs::detail

TORCH_LIBRARY_IMPL(fmgs, CPU, m) {
    using namespace fmgs::detail;
    m.impl("hash_encode", encode_kernel<&hash_encode_cpu>);
    m.impl("_hash_encode_backward", encode_backward_kernel<&hash_encode_cpu_backward>);
}
