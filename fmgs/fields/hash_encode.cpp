#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/fields/hash_encode.h>
#include <fmgs/fields/hash_levels.h>
#include <torch/library.h>
#include <torch/torch.h>

#include <array>

namespace fmgs::detail {
namespace {

using torch::Tensor;
using Levels = std::vector<HashLevel>;

constexpr int64_t kBlock =
    512;  // points whose output stays in the first caches while the levels pass

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

/// out[f] = Σ_c w_c · table[row_c, f]
template <class T, int64_t kFeatures>
inline void gather(const T* table, const int32_t* rows, const T* weights, int64_t features,
                   T* out) {
    const int64_t F = kFeatures ? kFeatures : features;
    if constexpr (kFeatures != 0) {
        T sum[kFeatures] = {};
        for (int c = 0; c < 8; ++c) {
            const T* row = table + int64_t{rows[c]} * F;
            for (int64_t f = 0; f < kFeatures; ++f) sum[f] += weights[c] * row[f];
        }
        for (int64_t f = 0; f < kFeatures; ++f) out[f] = sum[f];
    } else {
        for (int64_t f = 0; f < F; ++f) {
            T sum = 0;
            for (int c = 0; c < 8; ++c) sum += weights[c] * table[int64_t{rows[c]} * F + f];
            out[f] = sum;
        }
    }
}

template <class T, int64_t kFeatures>
void forward_kernel(const Levels& levels, const Tensor& table, const Tensor& x,
                    const std::vector<Tensor>& corners, Tensor& out) {
    const int64_t N = x.size(0), F = table.size(1), width = out.size(1);
    const T *entries = table.const_data_ptr<T>(), *points = x.const_data_ptr<T>();
    const int32_t* indices = corners.empty() ? nullptr : corners[0].const_data_ptr<int32_t>();
    const T* fractions = corners.empty() ? nullptr : corners[1].const_data_ptr<T>();
    T* result = out.mutable_data_ptr<T>();
    at::parallel_for(0, (N + kBlock - 1) / kBlock, 1, [&](int64_t first, int64_t last) {
        for (int64_t begin = first * kBlock; begin < std::min(last * kBlock, N); begin += kBlock) {
            const int64_t end = std::min(begin + kBlock, N);
            for (size_t l = 0; l < levels.size(); ++l) {
                const int64_t level = static_cast<int64_t>(l);
                for (int64_t n = begin; n < end; ++n) {
                    T weights[8];
                    int32_t own[8];
                    const int32_t* rows = own;
                    if (indices) {
                        rows = indices + (level * N + n) * 8;
                        trilinear(fractions + (level * N + n) * 3, weights);
                    } else {
                        const auto cell = hash_cell(levels[l], points + n * 3);
                        hash_rows(levels[l], cell.corner, own);
                        trilinear(cell.fraction, weights);
                    }
                    gather<T, kFeatures>(entries, rows, weights, F, result + n * width + level * F);
                }
            }
        }
    });
}

/// [N,L·F] → [L,N,F]: the gradient of one level fits in the second cache, where its readers jump
/// about.
template <class T>
Tensor level_major(const Tensor& grad, int64_t levels) {
    const int64_t N = grad.size(0), F = grad.size(1) / levels;
    auto out = torch::empty({levels, N, F}, grad.options());
    const T* from = grad.const_data_ptr<T>();
    T* to = out.mutable_data_ptr<T>();
    at::parallel_for(0, (N + 63) / 64, 8, [&](int64_t first, int64_t last) {
        for (int64_t begin = first * 64; begin < std::min(last * 64, N); begin += 64) {
            const int64_t end = std::min(begin + 64, N);
            for (int64_t l = 0; l < levels; ++l) {
                for (int64_t n = begin; n < end; ++n) {
                    for (int64_t f = 0; f < F; ++f) {
                        to[(l * N + n) * F + f] = from[(n * levels + l) * F + f];
                    }
                }
            }
        }
    });
    return out;
}

/// dL/dtable of fixed points: every entry sums over its readers, in their order.
template <class T, int64_t kFeatures>
void fixed_backward_kernel(const Levels& levels, const Tensor& grad,
                           const std::vector<Tensor>& corners, Tensor& grad_table) {
    const int64_t N = grad.size(0), F = grad_table.size(1), entries = grad_table.size(0);
    const auto by_level = level_major<T>(grad, static_cast<int64_t>(levels.size()));
    const T* g = by_level.template const_data_ptr<T>();
    const int32_t* offsets = corners[2].const_data_ptr<int32_t>();
    const int32_t* readers = corners[3].const_data_ptr<int32_t>();
    const T* weights = corners[4].const_data_ptr<T>();
    T* out = grad_table.mutable_data_ptr<T>();
    const auto sum_entries = [&](const T* g_level, int64_t begin, int64_t end) {
        for (int64_t e = begin; e < end; ++e) {
            T* row = out + e * F;
            T sum[kFeatures ? kFeatures : 1] = {};
            if constexpr (kFeatures == 0) std::fill(row, row + F, T(0));
            for (int64_t r = offsets[e]; r < offsets[e + 1]; ++r) {
                const T* from = g_level + int64_t{readers[r]} * F;
                if constexpr (kFeatures == 0) {
                    for (int64_t f = 0; f < F; ++f) row[f] += weights[r] * from[f];
                } else {
                    for (int64_t f = 0; f < kFeatures; ++f) sum[f] += weights[r] * from[f];
                }
            }
            if constexpr (kFeatures != 0) std::copy(sum, sum + kFeatures, row);
        }
    };
    // Parts of equal numbers of readings: a coarse entry has hundreds of readers, a fine one none
    // or one.
    constexpr int64_t kParts = 256;
    const int64_t readings = corners[3].size(0);
    const auto part_begin = [&](int64_t part) {
        if (part == 0) return int64_t{0};
        if (part == kParts) return entries;
        const auto target = static_cast<int32_t>(readings * part / kParts);
        return int64_t{std::lower_bound(offsets, offsets + entries, target) - offsets};
    };
    at::parallel_for(0, kParts, 1, [&](int64_t first, int64_t last) {
        const int64_t begin = part_begin(first), end = part_begin(last);
        for (size_t l = 0; l < levels.size(); ++l) {
            const int64_t start = levels[l].start, stop = start + levels[l].entries;
            sum_entries(g + static_cast<int64_t>(l) * N * F, std::max(begin, start),
                        std::min(end, stop));
        }
    });
}

/// dL/dtable of live points: one thread per level adds in the order of the points.
template <class T, int64_t kFeatures>
void live_backward_kernel(const Levels& levels, const Tensor& grad, const Tensor& x,
                          Tensor& grad_table) {
    const int64_t N = x.size(0), F = kFeatures ? kFeatures : grad_table.size(1),
                  width = grad.size(1);
    const T *g = grad.const_data_ptr<T>(), *points = x.const_data_ptr<T>();
    T* out = grad_table.mutable_data_ptr<T>();
    at::parallel_for(0, static_cast<int64_t>(levels.size()), 1, [&](int64_t first, int64_t last) {
        for (int64_t l = first; l < last; ++l) {
            const auto& level = levels[static_cast<size_t>(l)];
            std::fill(out + level.start * F, out + (level.start + level.entries) * F, T(0));
            for (int64_t n = 0; n < N; ++n) {
                T weights[8];
                int32_t rows[8];
                const auto cell = hash_cell(level, points + n * 3);
                hash_rows(level, cell.corner, rows);
                trilinear(cell.fraction, weights);
                const T* from = g + n * width + l * F;
                for (int c = 0; c < 8; ++c) {
                    T* row = out + int64_t{rows[c]} * F;
                    for (int64_t f = 0; f < F; ++f) row[f] += weights[c] * from[f];
                }
            }
        }
    });
}

/// dL/dx of one point and level, added to out[3]. The weights are products of three linear factors.
template <class T, int64_t kFeatures>
inline void add_position_gradient(const HashLevel& level, const T* table, const T* x, const T* grad,
                                  int64_t features, T* out) {
    const int64_t F = kFeatures ? kFeatures : features;
    const auto cell = hash_cell(level, x);
    int32_t rows[8];
    hash_rows(level, cell.corner, rows);
    T value[8];  // <grad, table row>
    for (int c = 0; c < 8; ++c) {
        value[c] = 0;
        for (int64_t f = 0; f < F; ++f) value[c] += grad[f] * table[int64_t{rows[c]} * F + f];
    }
    for (int axis = 0; axis < 3; ++axis) {
        const int u = (axis + 1) % 3, v = (axis + 2) % 3;
        const T fu = cell.fraction[u], fv = cell.fraction[v];
        const int bit = 1 << axis, bu = 1 << u, bv = 1 << v;
        const T slope = (1 - fu) * (1 - fv) * (value[bit] - value[0]) +
                        fu * (1 - fv) * (value[bit | bu] - value[bu]) +
                        (1 - fu) * fv * (value[bit | bv] - value[bv]) +
                        fu * fv * (value[bit | bu | bv] - value[bu | bv]);
        out[axis] += slope * T(level.scale);
    }
}

template <class T, int64_t kFeatures>
void position_backward_kernel(const Levels& levels, const Tensor& grad, const Tensor& table,
                              const Tensor& x, Tensor& grad_x) {
    const int64_t N = x.size(0), F = table.size(1), width = grad.size(1);
    const T *g = grad.const_data_ptr<T>(), *entries = table.const_data_ptr<T>();
    const T* points = x.const_data_ptr<T>();
    T* out = grad_x.mutable_data_ptr<T>();
    at::parallel_for(0, N, 256, [&](int64_t first, int64_t last) {
        for (int64_t n = first; n < last; ++n) {
            T sum[3] = {};
            for (size_t l = 0; l < levels.size(); ++l) {
                add_position_gradient<T, kFeatures>(levels[l], entries, points + n * 3,
                                                    g + n * width + static_cast<int64_t>(l) * F, F,
                                                    sum);
            }
            for (int k = 0; k < 3; ++k) {
                // Clamped inputs do not move.
                const bool inside = points[n * 3 + k] >= 0 && points[n * 3 + k] <= 1;
                out[n * 3 + k] = inside ? sum[k] : T(0);
            }
        }
    });
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
