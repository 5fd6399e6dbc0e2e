#include <fmgs/core/check.h>
#include <fmgs/fields/hash_encode.h>
#include <fmgs/fields/hash_kernels.h>
#include <torch/library.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <array>

namespace fmgs::detail {
namespace {

using torch::Tensor;

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

/// Refuses tensors that would make a kernel read outside its arrays, and returns the levels.
Levels checked(const Tensor& table, const Tensor& x, int64_t levels, int64_t base, int64_t finest,
               int64_t log2_entries, const std::vector<Tensor>& corners) {
    if (levels < 1 || base < 1 || finest < base || log2_entries < 3 || log2_entries > 28) {
        throw Error(
            "hash_encode: expected levels >= 1, 1 <= base <= finest and log2_entries in "
            "[3,28], got {}, {}, {}, {}",
            levels, base, finest, log2_entries);
    }
    auto result = hash_levels(levels, base, finest, log2_entries);
    const int64_t entries = result.back().start + result.back().entries, N = x.size(0);
    check_shape(table, {entries, -1}, "table of the hash grid");
    check_shape(x, {-1, 3}, "points of the hash grid");
    if (x.scalar_type() != table.scalar_type()) {
        throw Error("points of the hash grid: expected {} as the table, got {}",
                    c10::toString(table.scalar_type()), c10::toString(x.scalar_type()));
    }
    if (corners.empty()) return result;
    if (corners.size() != 5)
        throw Error("hash_encode: corners: expected 0 or 5 tensors, got {}", corners.size());
    check_shape(corners[0], {levels, N, 8}, "indices of the fixed points");
    check_shape(corners[1], {levels, N, 3}, "fractions of the fixed points");
    check_shape(corners[2], {entries + 1}, "offsets of the fixed points");
    check_shape(corners[3], {levels * N * 8}, "readers of the fixed points");
    check_shape(corners[4], {levels * N * 8}, "reader_weights of the fixed points");
    for (size_t k = 0; k < 5; ++k) {
        const bool real = k == 1 || k == 4;
        const auto expected = real ? table.scalar_type() : torch::kInt32;
        if (corners[k].scalar_type() != expected) {
            throw Error(
                "fixed points: expected {} as the hash grid, got {}; locate them again after the "
                "grid "
                "changed its dtype",
                c10::toString(expected), c10::toString(corners[k].scalar_type()));
        }
    }
    return result;
}

std::vector<Tensor> contiguous(const std::vector<Tensor>& tensors) {
    std::vector<Tensor> result;
    result.reserve(tensors.size());
    for (const auto& tensor : tensors) result.push_back(tensor.contiguous());
    return result;
}

Tensor hash_encode_cpu(const Tensor& table, const Tensor& x, int64_t levels, int64_t base,
                       int64_t finest, int64_t log2_entries, const std::vector<Tensor>& corners) {
    const auto rule = checked(table, x, levels, base, finest, log2_entries, corners);
    auto out = torch::empty({x.size(0), levels * table.size(1)}, table.options());
    const auto rows = table.contiguous(), points = x.contiguous();
    const auto cache = contiguous(corners);
    AT_DISPATCH_FLOATING_TYPES(table.scalar_type(), "hash_encode", [&] {
        with_features(table.size(1), [&](auto features) {
            forward_kernel<scalar_t, features()>(rule, rows, points, cache, out);
        });
    });
    return out;
}

std::tuple<Tensor, Tensor> hash_encode_backward_cpu(const Tensor& grad, const Tensor& table,
                                                    const Tensor& x, int64_t levels, int64_t base,
                                                    int64_t finest, int64_t log2_entries,
                                                    const std::vector<Tensor>& corners,
                                                    std::array<bool, 2> needs) {
    const auto rule = checked(table, x, levels, base, finest, log2_entries, corners);
    check_shape(grad, {x.size(0), levels * table.size(1)}, "gradient of hash_encode");
    const auto g = grad.contiguous(), rows = table.contiguous(), points = x.contiguous();
    const auto cache = contiguous(corners);
    Tensor grad_table, grad_x;
    if (needs[0]) grad_table = torch::empty(table.sizes(), table.options());
    if (needs[1]) grad_x = torch::empty(x.sizes(), x.options());
    AT_DISPATCH_FLOATING_TYPES(table.scalar_type(), "hash_encode_backward", [&] {
        with_features(table.size(1), [&](auto features) {
            constexpr int64_t F = features();
            if (needs[0] && !cache.empty()) {
                fixed_backward_kernel<scalar_t, F>(rule, g, cache, grad_table);
            } else if (needs[0]) {
                live_backward_kernel<scalar_t, F>(rule, g, points, grad_table);
            }
            if (needs[1]) position_backward_kernel<scalar_t, F>(rule, g, rows, points, grad_x);
        });
    });
    return {grad_table, grad_x};
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
                          const Tensor& x, int64_t levels, int64_t base, int64_t finest,
                          int64_t log2_entries, const std::vector<Tensor>& corners) {
        at::AutoDispatchBelowADInplaceOrView below;
        torch::autograd::variable_list saved{table, x};
        saved.insert(saved.end(), corners.begin(), corners.end());
        context->save_for_backward(std::move(saved));
        context->saved_data["rule"] = std::vector<int64_t>{levels, base, finest, log2_entries};
        return encode_op().call(table, x, levels, base, finest, log2_entries, corners);
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

Tensor hash_encode_autograd(const Tensor& table, const Tensor& x, int64_t levels, int64_t base,
                            int64_t finest, int64_t log2_entries, at::TensorList corners) {
    return HashEncode::apply(table, x, levels, base, finest, log2_entries, corners.vec());
}

}  // namespace

torch::Tensor hash_encode(const torch::Tensor& table, const torch::Tensor& x,
                          const HashGridOptions& options,
                          const std::vector<torch::Tensor>& corners) {
    return encode_op().call(table, x, options.levels, options.base, options.finest,
                            options.log2_entries, corners);
}

}  // namespace fmgs::detail

TORCH_LIBRARY_FRAGMENT(fmgs, m) {
    m.def(
        "hash_encode(Tensor table, Tensor x, int levels, int base, int finest, int log2_entries, "
        "Tensor[] corners) -> Tensor");
    m.def(
        "_hash_encode_backward(Tensor grad, Tensor table, Tensor x, int levels, int base, int "
        "finest, "
        "int log2_entries, Tensor[] corners, bool[2] needs) -> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(fmgs, CPU, m) {
    m.impl("hash_encode",
           [](const at::Tensor& table, const at::Tensor& x, int64_t levels, int64_t base,
              int64_t finest, int64_t log2_entries, at::TensorList corners) {
               return fmgs::detail::hash_encode_cpu(table, x, levels, base, finest, log2_entries,
                                                    corners.vec());
           });
    m.impl("_hash_encode_backward",
           [](const at::Tensor& grad, const at::Tensor& table, const at::Tensor& x, int64_t levels,
              int64_t base, int64_t finest, int64_t log2_entries, at::TensorList corners,
              std::array<bool, 2> needs) {
               return fmgs::detail::hash_encode_backward_cpu(grad, table, x, levels, base, finest,
                                                             log2_entries, corners.vec(), needs);
           });
}

TORCH_LIBRARY_IMPL(fmgs, Autograd, m) {
    m.impl("hash_encode", &fmgs::detail::hash_encode_autograd);
    m.impl("_hash_encode_backward", torch::autograd::autogradNotImplementedFallback());
}
