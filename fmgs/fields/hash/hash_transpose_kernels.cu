/// The gradient of the table as a gather over the columns of each entry, without float atomics, and
/// the lists of columns of live points.
#include <fmgs/fields/hash/hash_features.h>

namespace fmgs::detail {
namespace {

constexpr unsigned kTransposeThreads = 128;
constexpr int kGroup = 8;   // lanes of an entry: a hashed one has some seven columns
constexpr int kShort = 64;  // nonzeros that a group takes; those of the coarse levels have hundreds
constexpr int kBatch = 4;   // nonzeros whose loads are under way at a time

/// An entry's part of the list, and where the gradient of its level starts.
struct Readings {
    int32_t begin, end, level;
};

template <class T>
__device__ __forceinline__ Readings readings_of(const TableGradientParams<T>& p, int64_t entry) {
    if (entry >= p.grid.entries) return {0, 0, 0};
    const int32_t begin = p.row_offsets[entry], end = p.row_offsets[entry + 1];
    // Lists that are no lists would be used as addresses.
    if (begin < 0 || end < begin || end > p.nonzeros) __trap();
    int32_t level = 0;
    while (level + 1 < p.grid.count && entry >= p.grid.level[level + 1].start) ++level;
    return {begin, end, level};
}

/// Adds the nonzeros begin, begin + step, … < end, in this order. grad: of the level, from the
/// first of the features on.
template <class T, int kWide>
__device__ __forceinline__ void add_readings(const TableGradientParams<T>& p, const T* grad,
                                             int32_t begin, int32_t end, int32_t step,
                                             Features<T, kWide>& sum) {
    // Positions as 64 bits: those past the end may not fit 32.
    for (int64_t r = begin; r < end; r += kBatch * step) {
        int32_t column[kBatch];
        T weight[kBatch];
        bool inside = true;
#pragma unroll
        for (int k = 0; k < kBatch; ++k) {
            const bool there = r + k * step < end;
            column[k] = there ? p.columns[r + k * step] : 0;
            weight[k] = there ? p.weights[r + k * step] : T(0);
            inside &= column[k] >= 0 && column[k] < p.n;
        }
        if (!inside) __trap();
        Features<T, kWide> from[kBatch];
#pragma unroll
        for (int k = 0; k < kBatch; ++k) {
            from[k] = {};
            if (r + k * step < end)
                from[k] = load_features<kWide>(grad + int64_t{column[k]} * p.features);
        }
#pragma unroll
        for (int k = 0; k < kBatch; ++k) {
#pragma unroll
            for (int f = 0; f < kWide; ++f) sum.v[f] += weight[k] * from[k].v[f];
        }
    }
}

/// The sums of kLanes neighbouring lanes, in all of them.
template <int kLanes, class T, int kWide>
__device__ __forceinline__ void add_lanes(Features<T, kWide>& sum) {
#pragma unroll
    for (int step = kLanes / 2; step > 0; step /= 2) {
#pragma unroll
        for (int f = 0; f < kWide; ++f) sum.v[f] += __shfl_xor_sync(kWholeWarp, sum.v[f], step);
    }
}

/// A group of lanes per entry; entries with more columns are left to the whole warp, one by one.
/// The order of the additions is fixed.
template <class T, int kWide>
__global__ void __launch_bounds__(kTransposeThreads) table_gradient(TableGradientParams<T> p) {
    const auto lane = static_cast<int>(threadIdx.x % 32), member = lane % kGroup;
    const int64_t entry = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kGroup;
    const Readings own = readings_of(p, entry);
    const bool is_long = own.end - own.begin > kShort;
    const unsigned long_groups = __ballot_sync(kWholeWarp, is_long && member == 0);
    const int64_t level_size = p.n * p.features;
#pragma unroll 1
    for (int32_t f = 0; f < p.features; f += kWide) {
        Features<T, kWide> sum = {};
        if (!is_long)
            add_readings(p, p.grad + own.level * level_size + f, own.begin + member, own.end,
                         kGroup, sum);
        add_lanes<kGroup>(sum);
        if (member == 0 && !is_long && entry < p.grid.entries)
            store_features(p.grad_table + entry * p.features + f, sum);
        for (unsigned rest = long_groups; rest != 0; rest &= rest - 1) {
            const int owner = __ffs(static_cast<int>(rest)) - 1;
            const int32_t begin = __shfl_sync(kWholeWarp, own.begin, owner),
                          end = __shfl_sync(kWholeWarp, own.end, owner),
                          level = __shfl_sync(kWholeWarp, own.level, owner);
            Features<T, kWide> total = {};
            add_readings(p, p.grad + level * level_size + f, begin + lane, end, 32, total);
            add_lanes<32>(total);
            if (lane == owner) store_features(p.grad_table + entry * p.features + f, total);
        }
    }
}

/// One thread per corner and per boundary between entries.
template <class T>
__global__ void __launch_bounds__(kTransposeThreads) write_columns(TransposeParams<T> p) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i <= p.entries) {
        int64_t low = 0, high = p.nonzeros;  // the first corner of an entry that is not below i
        while (low < high) {
            const int64_t middle = (low + high) / 2;
            if (p.keys[middle] < i) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        p.row_offsets[i] = static_cast<int32_t>(low);
    }
    if (i < p.nonzeros) {
        const int32_t from = p.order[i], at = from / 8;
        const T fraction[3] = {p.fractions[int64_t{at} * 3], p.fractions[int64_t{at} * 3 + 1],
                               p.fractions[int64_t{at} * 3 + 2]};
        T weights[8];
        trilinear(fraction, weights);
        T weight = 0;
#pragma unroll
        for (int c = 0; c < 8; ++c) weight = c == from % 8 ? weights[c] : weight;
        p.columns[i] = static_cast<int32_t>(at % p.n);
        p.weights[i] = weight;
    }
}

}  // namespace

template <class T>
cudaError_t launch_table_gradient(const TableGradientParams<T>& p, cudaStream_t stream) {
    constexpr int64_t kEntries = kTransposeThreads / kGroup;  // of a block
    return with_wide_features(p.features, [&](auto wide) {
        return launch(&table_gradient<T, decltype(wide)::value>,
                      (p.grid.entries + kEntries - 1) / kEntries, kTransposeThreads, 0, stream, p);
    });
}

template <class T>
cudaError_t launch_transpose(const TransposeParams<T>& p, cudaStream_t stream) {
    const int64_t threads = p.nonzeros > p.entries ? p.nonzeros : int64_t{p.entries} + 1;
    return launch(&write_columns<T>, (threads + kTransposeThreads - 1) / kTransposeThreads,
                  kTransposeThreads, 0, stream, p);
}

template cudaError_t launch_table_gradient<float>(const TableGradientParams<float>&, cudaStream_t);
template cudaError_t launch_transpose<float>(const TransposeParams<float>&, cudaStream_t);

}  // namespace fmgs::detail
