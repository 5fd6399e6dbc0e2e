#pragma once
/// The CPU kernels of the hash grid, float and double. Every output element is summed by one thread
/// in a fixed order, so the bits do not depend on the number of threads.
#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/fields/hash/hash_encode_op.h>
#include <fmt/format.h>

#include <atomic>
#include <memory>

namespace fmgs::detail {

/// The most points that pass a level before the next: the table of a level is read once for them.
constexpr int64_t kBlock = 16384;
/// Points whose cached rows are fetched early: the processor does so by itself only within a page.
constexpr int64_t kAhead = 64;

/// Error unless the eight rows of a point lie in [first,last]. Cached ones may come from anywhere.
inline void check_rows(const int32_t* rows, uint32_t first, uint32_t last) {
    typedef uint32_t Four __attribute__((vector_size(16), aligned(4), may_alias));
    typedef uint64_t Two __attribute__((vector_size(16)));
    const auto &a = *reinterpret_cast<const Four*>(rows),
               &b = *reinterpret_cast<const Four*>(rows + 4);
    const Two signs = reinterpret_cast<Two>((a - first) | (last - a) | (b - first) | (last - b));
    if (((signs[0] | signs[1]) & 0x8000000080000000) == 0) return;
    throw Error(
        fmt::format("indices of the fixed points: expected rows of their level, [{},{}], got one "
                    "outside; locate the points again",
                    first, last));
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
        // Copies: what f writes might change those that are not local.
        const auto own = levels_[static_cast<size_t>(level)];
        T weights[8];
        if (indices_) {
            const auto first = static_cast<uint32_t>(own.start), last = first + own.entries - 1;
            const int32_t* rows = indices_ + (level * n_ + begin) * 8;
            const T* fraction = fractions_ + (level * n_ + begin) * 3;
            for (int64_t n = begin; n < end; ++n, rows += 8, fraction += 3) {
                __builtin_prefetch(rows + kAhead * 8);
                __builtin_prefetch(fraction + kAhead * 3);
                check_rows(rows, first, last);
                trilinear(fraction, weights);
                f(n, rows, weights);
            }
            return;
        }
        const T* point = points_ + begin * 3;
        for (int64_t n = begin; n < end; ++n, point += 3) {
            int32_t rows[8];
            const auto cell = hash_cell(own, point);
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

/// Calls f(begin, end) for blocks of points on all threads.
template <class F>
void for_blocks(int64_t N, F&& f) {
    at::parallel_for(0, N, 256, [&](int64_t first, int64_t last) {
        for (int64_t begin = first; begin < last; begin += kBlock)
            f(begin, std::min(begin + kBlock, last));
    });
}

/// Reads the rows of a level in their order, unless the points are few: so they come into the cache
/// sooner than in the order of the points.
template <class T>
void read_ahead(const HashLevel& level, const T* table, int64_t F, int64_t points) {
    constexpr int64_t kLine = 64 / sizeof(T);
    const int64_t count = level.entries * F;
    if (points * 8 * kLine < count) return;
    const volatile T* rows = table + level.start * F;
    for (int64_t k = 0; k < count; k += kLine) static_cast<void>(rows[k]);
}

/// Calls f(p, q) for N points in L levels: p is the row of one in [N,L], q that in [L,stride].
template <class F>
void for_transposed(int64_t N, int64_t L, int64_t stride, F&& f) {
    constexpr int64_t kTile = 64;
    for (int64_t begin = 0; begin < N; begin += kTile) {
        const int64_t end = std::min(begin + kTile, N);
        for (int64_t l = 0; l < L; ++l) {
            for (int64_t n = begin; n < end; ++n) f(n * L + l, l * stride + n);
        }
    }
}

template <class T, int64_t kFeatures>
inline void copy_row(const T* from, int64_t F, T* to) {
    if constexpr (kFeatures != 0) {
        using Row = Row<T, kFeatures>;
        Row::at(to) = Row::at(from);
    } else {
        std::copy(from, from + F, to);
    }
}

template <class T, int64_t kFeatures>
void forward_kernel(const EncodeInputs& in, Tensor& out) {
    const int64_t L = static_cast<int64_t>(in.levels.size()),
                  F = kFeatures ? kFeatures : in.table.size(1);
    const T* table = in.table.const_data_ptr<T>();
    T* result = out.mutable_data_ptr<T>();
    const Corners<T> corners(in);
    for_blocks(in.x.size(0), [&](int64_t begin, int64_t end) {
        // [L,count,F]: what a level writes is dense, so that it leaves the cache to the table.
        const int64_t count = end - begin;
        const auto by_level =
            std::make_unique_for_overwrite<T[]>(static_cast<size_t>(L * count * F));
        for (int64_t l = 0; l < L; ++l) {
            read_ahead(in.levels[static_cast<size_t>(l)], table, F, count);
            T* to = by_level.get() + (l * count - begin) * F;
            corners.for_points(l, begin, end, [=](int64_t n, const int32_t* rows, const T* w) {
                gather<T, kFeatures>(table, rows, w, F, to + n * F);
            });
        }
        const T* from = by_level.get();
        T* to = result + begin * L * F;
        for_transposed(count, L, count, [=](int64_t p, int64_t q) {
            copy_row<T, kFeatures>(from + q * F, F, to + p * F);
        });
    });
}

/// [N,L·F] → [L,N,F]: the gradient of one level beside its table fits in the second cache.
template <class T, int64_t kFeatures>
Tensor level_major(const Tensor& grad, int64_t L, int64_t F) {
    const int64_t N = grad.size(0);
    auto out = torch::empty({L, N, F}, grad.options());
    const T* all = grad.const_data_ptr<T>();
    T* result = out.mutable_data_ptr<T>();
    at::parallel_for(0, N, 512, [=](int64_t begin, int64_t end) {
        const T* from = all + begin * L * F;
        T* to = result + begin * F;
        for_transposed(end - begin, L, N, [=](int64_t p, int64_t q) {
            copy_row<T, kFeatures>(from + p * F, F, to + q * F);
        });
    });
    return out;
}

/// dL/dtable: the points add to their rows in their order. A level, or a part of one where there
/// are more threads than levels, is one thread's.
template <class T, int64_t kFeatures>
void table_backward_kernel(const EncodeInputs& in, const Tensor& grad, Tensor& grad_table) {
    const int64_t N = in.x.size(0), L = static_cast<int64_t>(in.levels.size()),
                  F = kFeatures ? kFeatures : grad_table.size(1);
    const auto by_level = level_major<T, kFeatures>(grad, L, F);
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
                corners.for_points(l, 0, N, [=](int64_t n, const int32_t* rows, const T* w) {
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
    for_blocks(in.x.size(0), [&](int64_t begin, int64_t end) {
        for (int64_t l = 0; l < static_cast<int64_t>(in.levels.size()); ++l) {
            const auto level = in.levels[static_cast<size_t>(l)];
            for (int64_t n = begin; n < end; ++n) {
                T sum[3] = {};
                add_position_gradient<T, kFeatures>(level, table, points + n * 3,
                                                    g + n * width + l * F, F, sum);
                for (int k = 0; k < 3; ++k)
                    out[n * 3 + k] += moves(points[n * 3 + k]) ? sum[k] : T(0);
            }
        }
    });
}

}  // namespace fmgs::detail
