
#include <fmgs/fields/hash/hash_encode.h>

#include <fmgs/core/check.h>
#include <fmgs/fields/hash/hash_kernels.h>
#include <fmt/format.h>
#include <torch/autograd.h>
#include <torch/library.h>
#include <torch/types.h>

#include <array>
#include <limits>

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

/// Refuses tensors that would make a kernel read outside its arrays, and returns the inputs,
/// contiguous.
EncodeInputs checked(const Tensor& table, const Tensor& x, int64_t levels, int64_t base_resolution,
                     int64_t finest_resolution, int64_t log2_hashmap_size, at::TensorList corners) {
    if (levels < 1 || base_resolution < 1 || finest_resolution < base_resolution ||
        log2_hashmap_size < 3 || log2_hashmap_size > 28) {
        throw Error(fmt::format(
            "hash_encode: expected levels >= 1, 1 <= base_resolution <= finest_resolution and "
            "log2_hashmap_size in "
            "[3,28], got {}, {}, {}, {}",
            levels, base_resolution, finest_resolution, log2_hashmap_size));
    }
    auto rule = hash_levels(levels, base_resolution, finest_resolution, log2_hashmap_size);
    const int64_t entries = rule.back().start + rule.back().entries;
    if (entries > std::numeric_limits<int32_t>::max())
        throw Error(fmt::format(
            "hash_encode: {} entries do not fit 32-bit indices; lower log2_hashmap_size", entries));
    check_shape(table, {entries, -1}, "table of the hash grid");
    check_shape(x, {-1, 3}, "points of the hash grid");
    if (x.scalar_type() != table.scalar_type() || x.device() != table.device()) {
        throw Error(
            fmt::format("points of the hash grid: expected {} on {} as the table, got {} on {}",
                        c10::toString(table.scalar_type()), table.device().str(),
                        c10::toString(x.scalar_type()), x.device().str()));
    }
    EncodeInputs in{std::move(rule), table.contiguous(), x.contiguous(), {}};
    if (corners.empty()) return in;
    if (corners.size() != 5)
        throw Error(
            fmt::format("hash_encode: corners: expected 0 or 5 tensors, got {}", corners.size()));
    const int64_t N = x.size(0);
    check_shape(corners[0], {levels, N, 8}, "indices of the fixed points");
    check_shape(corners[1], {levels, N, 3}, "fractions of the fixed points");
    check_shape(corners[2], {entries + 1}, "row_offsets of the fixed points");
    check_shape(corners[3], {levels * N * 8}, "columns of the fixed points");
    check_shape(corners[4], {levels * N * 8}, "values of the fixed points");
    for (size_t k = 0; k < 5; ++k) {
        const bool real = k == 1 || k == 4;
        const auto expected = real ? table.scalar_type() : torch::kInt32;
        if (corners[k].scalar_type() != expected || corners[k].device() != table.device()) {
            throw Error(fmt::format(
                "fixed points: expected {} on {} as the hash grid, got {} on {}; locate them again "
                "after the grid changed its dtype or device",
                c10::toString(expected), table.device().str(),
                c10::toString(corners[k].scalar_type()), corners[k].device().str()));
        }
        in.corners.push_back(corners[k].contiguous());
    }
    return in;
}

Tensor hash_encode_cpu(const EncodeInputs& in) {
    const int64_t features = in.table.size(1);
    auto out = torch::empty({in.x.size(0), static_cast<int64_t>(in.levels.size()) * features},
                            in.table.options());
    AT_DISPATCH_FLOATING_TYPES(in.table.scalar_type(), "hash_encode", [&] {
        with_features(features, [&](auto F) {
            forward_kernel<scalar_t, F()>(in.levels, in.table, in.x, in.corners, out);
        });
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
            if (needs[0] && !in.corners.empty()) {
                fixed_backward_kernel<scalar_t, F>(in.levels, grad, in.corners, grad_table);
            } else if (needs[0]) {
                live_backward_kernel<scalar_t, F>(in.levels, grad, in.x, grad_table);
            }
            if (needs[1])
                position_backward_kernel<scalar_t, F>(in.levels, grad, in.table, in.x, grad_x);
        });
    });
    return {grad_table, grad_x};
}

using Forward = Tensor (*)(const EncodeInputs&);
using Backward = std::tuple<Tensor, Tensor> (*)(const EncodeInputs&, const Tensor&,
                                                std::array<bool, 2>);

template <Forward kBackend>
Tensor encode_on(const Tensor& table, const Tensor& x, int64_t levels, int64_t base_resolution,
                 int64_t finest_resolution, int64_t log2_hashmap_size, at::TensorList corners) {
    return kBackend(
        checked(table, x, levels, base_resolution, finest_resolution, log2_hashmap_size, corners));
}

template <Backward kBackend>
std::tuple<Tensor, Tensor> backward_on(const Tensor& grad, const Tensor& table, const Tensor& x,
                                       int64_t levels, int64_t base_resolution,
                                       int64_t finest_resolution, int64_t log2_hashmap_size,
                                       at::TensorList corners, std::array<bool, 2> needs) {
    const auto in =
        checked(table, x, levels, base_resolution, finest_resolution, log2_hashmap_size, corners);
    check_shape(grad, {x.size(0), levels * table.size(1)}, "gradient of hash_encode");
    if (grad.scalar_type() != table.scalar_type() || grad.device() != table.device()) {
        throw Error(
            fmt::format("gradient of hash_encode: expected {} on {} as the table, got {} on {}",
                        c10::toString(table.scalar_type()), table.device().str(),
                        c10::toString(grad.scalar_type()), grad.device().str()));
    }
    return kBackend(in, grad.contiguous(), needs);
}

using Encode = Tensor(const Tensor&, const Tensor&, int64_t, int64_t, int64_t, int64_t,
                      at::TensorList);
using EncodeBackward = std::tuple<Tensor, Tensor>(const Tensor&, const Tensor&, const Tensor&,
                                                  int64_t, int64_t, int64_t, int64_t,
                                                  at::TensorList, std::array<bool, 2>);

const auto& encode_op() {
    static const auto op =
        c10::Dispatcher::singleton().findSchemaOrThrow("fmgs::hash_encode", "").typed<Encode>();
    return op;
}

const auto& encode_backward_op() {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("fmgs::_hash_encode_backward", "")
                               .typed<EncodeBackward>();
    return op;
}

class HashEncode : public torch::autograd::Function<HashEncode> {
  public:
    static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& table,
                          const Tensor& x, int64_t levels, int64_t base_resolution,
                          int64_t finest_resolution, int64_t log2_hashmap_size,
                          const std::vector<Tensor>& corners) {
        at::AutoDispatchBelowADInplaceOrView below;
        torch::autograd::variable_list saved{table, x};
        saved.insert(saved.end(), corners.begin(), corners.end());
        context->save_for_backward(std::move(saved));
        context->saved_data["rule"] =
            std::vector<int64_t>{levels, base_resolution, finest_resolution, log2_hashmap_size};
        return encode_op().call(table, x, levels, base_resolution, finest_resolution,
                                log2_hashmap_size, corners);
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                   torch::autograd::variable_list grads) {
        const auto saved = context->get_saved_variables();
        const auto rule = context->saved_data["rule"].toIntVector();
        const std::vector<Tensor> corners(saved.begin() + 2, saved.end());
        const std::array<bool, 2> needs{context->needs_input_grad(0),
                                        context->needs_input_grad(1) && corners.empty()};
        auto [table, x] = encode_backward_op().call(grads[0], saved[0], saved[1], rule[0], rule[1],
                                                    rule[2], rule[3], corners, needs);
        return {table, x, {}, {}, {}, {}, {}};
    }
};

Tensor hash_encode_autograd(const Tensor& table, const Tensor& x, int64_t levels,
                            int64_t base_resolution, int64_t finest_resolution,
                            int64_t log2_hashmap_size, at::TensorList corners) {
    return HashEncode::apply(table, x, levels, base_resolution, finest_resolution,
                             log2_hashmap_size, corners.vec());
}

}  // namespace

torch::Tensor hash_encode(const torch::Tensor& table, const torch::Tensor& x,
                          const HashGridOptions& options,
                          const std::vector<torch::Tensor>& corners) {
    check_device(table.device(), "hash_encode");
    return encode_op().call(table, x, options.levels, options.base_resolution,
                            options.finest_resolution, options.log2_hashmap_size, corners);
}

}  // namespace fmgs::detail

TORCH_LIBRARY_FRAGMENT(fmgs, m) {
    m.def(
        "hash_encode(Tensor table, Tensor x, int levels, int base_resolution, int "
        "finest_resolution, int log2_hashmap_size, "
        "Tensor[] corners) -> Tensor");
    m.def(
        "_hash_encode_backward(Tensor grad, Tensor table, Tensor x, int levels, int "
        "base_resolution, int "
        "finest_resolution, "
        "int log2_hashmap_size, Tensor[] corners, bool[2] needs) -> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(fmgs, CPU, m) {
    using namespace fmgs::detail;
    m.impl("hash_encode", encode_on<&hash_encode_cpu>);
    m.impl("_hash_encode_backward", backward_on<&hash_encode_cpu_backward>);
}
#if defined(FMGS_CUDA)
TORCH_LIBRARY_IMPL(fmgs, CUDA, m) {
    using namespace fmgs::detail;
    m.impl("hash_encode", encode_on<&hash_encode_cuda>);
    m.impl("_hash_encode_backward", backward_on<&hash_encode_cuda_backward>);
}
#endif

TORCH_LIBRARY_IMPL(fmgs, Autograd, m) {
    m.impl("hash_encode", &fmgs::detail::hash_encode_autograd);
    m.impl("_hash_encode_backward", torch::autograd::autogradNotImplementedFallback());
}
