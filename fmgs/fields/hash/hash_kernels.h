#pragma once
/// The CPU kernels of the hash grid, float and double. Every output element is summed by one thread
/// in a fixed order, so the bits do not depend on the number of threads.
#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/fields/hash/hash_encode_op.h>
#include <fmt/format.h>

#include <atomic>

namespace fmgs::detail {

/// The most points that pass a level before the next: the table of a level is read once for them,
/// and their output should not leave the second cache meanwhile.
constexpr int64_t kBlock = 16384;

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

/// The rows and weights of points in levels: looked up for fixed points, found for live ones.
template <class T>
class Corners {
  public:
    explicit Corners(const EncodeInputs& in)
        : levels_(in.levels), n_(in.x.size(0)), points_(in.x.const_data_ptr<T>()) {
        if (in.corners.empty()) return;
        indices_ = in.corners[0].const_data_ptr<int32_t>();
        fractions_ = in.corners[1].const_data_ptr<T>();
    }
    /// Calls f(n, rows, weights) for the points [begin,end) of a level, in their order.
    template <class F>
    void for_points(int64_t level, int64_t begin, int64_t end, F&& f) const {
        T weights[8];
        if (indices_) {
            const int64_t first = level * n_;
            const auto& own = levels_[static_cast<size_t>(level)];
            check_range(indices_ + (first + begin) * 8, (end - begin) * 8, own.start + own.entries,
                        "indices of the fixed points");
            for (int64_t n = begin; n < end; ++n) {
                trilinear(fractions_ + (first + n) * 3, weights);
                f(n, indices_ + (first + n) * 8, weights);
            }
            return;
        }
        // A copy: what f writes might change one that is not local.
        const auto own = levels_[static_cast<size_t>(level)];
        for (int64_t n = begin; n < end; ++n) {
            int32_t rows[8];
            const auto cell = hash_cell(own, points_ + n * 3);
            hash_rows(own, cell.corner, rows);
            trilinear(cell.fraction, weights);
            f(n, rows, weights);
        }
    }

  private:
    const Levels& levels_;
    int64_t n_;
    const T* points_;
    const int32_t* indices_ = nullptr;
    const T* fractions_ = nullptr;
};

/// The features of a row, in one register where their number allows it.
template <class T, int64_t kFeatures>
struct Row {
    typedef T Value
        __attribute__((vector_size(sizeof(T) * kFeatures), aligned(alignof(T)), may_alias));
    static Value& at(T* row) { return *reinterpret_cast<Value*>(row); }
    static const Value& at(const T* row) { return *reinterpret_cast<const Value*>(row); }
};

/// out[f] = Σ_c w_c · table[row_c, f]
template <class T, int64_t kFeatures>
inline void gather(const T* table, const int32_t* rows, const T* weights, int64_t F, T* out) {
    if constexpr (kFeatures != 0) {
        using Row = Row<T, kFeatures>;
        typename Row::Value sum = {};
        for (int c = 0; c < 8; ++c) sum += weights[c] * Row::at(table + int64_t{rows[c]} * F);
        Row::at(out) = sum;
    } else {
        for (int64_t f = 0; f < F; ++f) {
            T sum = 0;
            for (int c = 0; c < 8; ++c) sum += weights[c] * table[int64_t{rows[c]} * F + f];
            out[f] = sum;
        }
    }
}

/// Calls f(level, begin, end) for blocks of points, level after level, on all threads.
template <class F>
void for_blocks(const Levels& levels, int64_t N, F&& f) {
    at::parallel_for(0, N, 256, [&](int64_t first, int64_t last) {
        for (int64_t begin = first; begin < last; begin += kBlock) {
            for (int64_t l = 0; l < static_cast<int64_t>(levels.size()); ++l)
                f(l, begin, std::min(begin + kBlock, last));
        }
    });
}

template <class T, int64_t kFeatures>
void forward_kernel(const EncodeInputs& in, Tensor& out) {
    const int64_t F = kFeatures ? kFeatures : in.table.size(1), width = out.size(1);
    const T* table = in.table.const_data_ptr<T>();
    T* result = out.mutable_data_ptr<T>();
    const Corners<T> corners(in);
    for_blocks(in.levels, in.x.size(0), [&](int64_t level, int64_t begin, int64_t end) {
        corners.for_points(level, begin, end, [&](int64_t n, const int32_t* rows, const T* w) {
            gather<T, kFeatures>(table, rows, w, F, result + n * width + level * F);
        });
    });
}

/// [N,L·F] → [L,N,F]: the gradient of one level beside its table fits in the second cache.
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

/// dL/dtable: the points add to their rows in their order. A level, or a part of one where there
/// are more threads than levels, is one thread's.
template <class T, int64_t kFeatures>
void table_backward_kernel(const EncodeInputs& in, const Tensor& grad, Tensor& grad_table) {
    const int64_t N = in.x.size(0), L = static_cast<int64_t>(in.levels.size()),
                  F = kFeatures ? kFeatures : grad_table.size(1);
    const auto by_level = level_major<T>(grad, L);
    const T* g = by_level.template const_data_ptr<T>();
    T* out = grad_table.mutable_data_ptr<T>();
    const Corners<T> corners(in);
    const int64_t threads = at::get_num_threads(), parts = (threads + L - 1) / L;
    // The finest take longest, so they are dealt out first.
    std::atomic<int64_t> left{L * parts};
    at::parallel_for(0, threads, 1, [&](int64_t first, int64_t last) {
        for (; first < last; ++first) {
            for (int64_t task; (task = --left) >= 0;) {
                const int64_t l = task / parts, part = task % parts;
                const auto& level = in.levels[static_cast<size_t>(l)];
                const int64_t entries = level.entries;
                const auto begin = static_cast<int32_t>(level.start + entries * part / parts),
                           end = static_cast<int32_t>(level.start + entries * (part + 1) / parts);
                std::fill(out + begin * F, out + end * F, T(0));
                const T* from = g + l * N * F;
                corners.for_points(l, 0, N, [&](int64_t n, const int32_t* rows, const T* w) {
                    for (int c = 0; c < 8; ++c) {
                        if (rows[c] < begin || rows[c] >= end) continue;
                        T* row = out + int64_t{rows[c]} * F;
                        if constexpr (kFeatures != 0) {
                            using Row = Row<T, kFeatures>;
                            Row::at(row) += w[c] * Row::at(from + n * F);
                        } else {
                            for (int64_t f = 0; f < F; ++f) row[f] += w[c] * from[n * F + f];
                        }
                    }
                });
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
void position_backward_kernel(const EncodeInputs& in, const Tensor& grad, Tensor& grad_x) {
    const int64_t F = in.table.size(1), width = grad.size(1);
    const T *g = grad.const_data_ptr<T>(), *table = in.table.const_data_ptr<T>();
    const T* points = in.x.const_data_ptr<T>();
    T* out = grad_x.mutable_data_ptr<T>();
    std::fill(out, out + grad_x.numel(), T(0));
    for_blocks(in.levels, in.x.size(0), [&](int64_t l, int64_t begin, int64_t end) {
        const auto level = in.levels[static_cast<size_t>(l)];
        for (int64_t n = begin; n < end; ++n) {
            T sum[3] = {};
            add_position_gradient<T, kFeatures>(level, table, points + n * 3, g + n * width + l * F,
                                                F, sum);
            for (int k = 0; k < 3; ++k) out[n * 3 + k] += moves(points[n * 3 + k]) ? sum[k] : T(0);
        }
    });
}

}  // namespace fmgs::detail
