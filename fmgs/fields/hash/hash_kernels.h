#pragma once
/// The CPU kernels of the hash grid, float and double. Parallel without atomics: every output
/// element is summed by one thread in a fixed order, so the bits do not depend on the number of
/// threads.
#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/fields/hash/hash_encode_op.h>
#include <fmt/format.h>

namespace fmgs::detail {

// points whose output stays in the first caches while the levels pass
constexpr int64_t kBlock = 512;

/// Error unless all values lie in [0,limit). The caches of a registered op may come from anywhere.
inline void check_range(const int32_t* values, int64_t count, int64_t limit, const char* name) {
    if (count == 0) return;
    uint32_t worst = 0;
    for (int64_t k = 0; k < count; ++k) worst = std::max(worst, static_cast<uint32_t>(values[k]));
    if (worst >= limit)
        throw Error(
            fmt::format("{}: expected values in [0,{}), got one outside; locate the points again",
                        name, limit));
}

/// Error unless the nonzeros of the entries [begin,end) lie in the list and name points below N.
inline void check_columns(const int32_t* row_offsets, int64_t begin, int64_t end,
                          const int32_t* columns, int64_t nonzeros, int64_t N) {
    bool sorted = row_offsets[begin] >= 0 && row_offsets[end] <= nonzeros;
    for (int64_t e = begin; e < end; ++e) sorted &= row_offsets[e] <= row_offsets[e + 1];
    if (!sorted)
        throw Error(fmt::format(
            "row_offsets of the fixed points: expected them to rise from 0 to {}; locate the "
            "points "
            "again",
            nonzeros));
    check_range(columns + row_offsets[begin], row_offsets[end] - row_offsets[begin], N,
                "columns of the fixed points");
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
                if (indices) {
                    check_range(indices + (level * N + begin) * 8, (end - begin) * 8, table.size(0),
                                "indices of the fixed points");
                }
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

/// [N,L·F] → [L,N,F]: the gradient of one level fits in the second cache, where its columns jump
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

/// dL/dtable of fixed points: every entry sums over its columns, in their order.
template <class T, int64_t kFeatures>
void fixed_backward_kernel(const Levels& levels, const Tensor& grad,
                           const std::vector<Tensor>& corners, Tensor& grad_table) {
    const int64_t N = grad.size(0), F = grad_table.size(1), entries = grad_table.size(0);
    const auto by_level = level_major<T>(grad, static_cast<int64_t>(levels.size()));
    const T* g = by_level.template const_data_ptr<T>();
    const int32_t* row_offsets = corners[2].const_data_ptr<int32_t>();
    const int32_t* columns = corners[3].const_data_ptr<int32_t>();
    const T* weights = corners[4].const_data_ptr<T>();
    T* out = grad_table.mutable_data_ptr<T>();
    const auto sum_entries = [&](const T* g_level, int64_t begin, int64_t end) {
        for (int64_t e = begin; e < end; ++e) {
            T* row = out + e * F;
            T sum[kFeatures ? kFeatures : 1] = {};
            if constexpr (kFeatures == 0) std::fill(row, row + F, T(0));
            for (int64_t r = row_offsets[e]; r < row_offsets[e + 1]; ++r) {
                const T* from = g_level + int64_t{columns[r]} * F;
                if constexpr (kFeatures == 0) {
                    for (int64_t f = 0; f < F; ++f) row[f] += weights[r] * from[f];
                } else {
                    for (int64_t f = 0; f < kFeatures; ++f) sum[f] += weights[r] * from[f];
                }
            }
            if constexpr (kFeatures != 0) std::copy(sum, sum + kFeatures, row);
        }
    };
    // Parts of equal numbers of nonzeros: a coarse entry has hundreds of columns, a fine one none
    // or one.
    constexpr int64_t kParts = 256;
    const int64_t nonzeros = corners[3].size(0);
    const auto part_begin = [&](int64_t part) {
        if (part == 0) return int64_t{0};
        if (part == kParts) return entries;
        const auto target = static_cast<int32_t>(nonzeros * part / kParts);
        return int64_t{std::lower_bound(row_offsets, row_offsets + entries, target) - row_offsets};
    };
    at::parallel_for(0, kParts, 1, [&](int64_t first, int64_t last) {
        for (int64_t part = first; part < last; ++part) {
            const int64_t begin = part_begin(part), end = part_begin(part + 1);
            if (begin >= end) continue;
            check_columns(row_offsets, begin, end, columns, nonzeros, N);
            for (size_t l = 0; l < levels.size(); ++l) {
                const int64_t start = levels[l].start, stop = start + levels[l].entries;
                sum_entries(g + static_cast<int64_t>(l) * N * F, std::max(begin, start),
                            std::min(end, stop));
            }
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

/// dL/dx of one point and level, added to out[3].
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
    add_trilinear_gradient(value, cell.fraction, T(level.scale), out);
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
            for (int k = 0; k < 3; ++k) out[n * 3 + k] = moves(points[n * 3 + k]) ? sum[k] : T(0);
        }
    });
}

}  // namespace fmgs::detail
