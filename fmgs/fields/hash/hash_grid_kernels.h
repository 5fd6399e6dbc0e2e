#pragma once
/// The CUDA kernels of the hash grid as seen from torch's side: parameters, and one launch function
/// per kernel. No torch. All pointers are device memory; arrays are contiguous; those that are read
/// or written in rows of features, and the indices, start on a multiple of 16 bytes. N points, L
/// levels, F features; `nonzeros` is N·L·8.
#include <cuda_runtime.h>
#include <fmgs/fields/hash/hash_levels.h>

#include <cstddef>
#include <cstdint>

namespace fmgs::detail {

constexpr int kMaxHashLevels = 32;

/// The levels, by value: kernels read them from constant memory.
template <class T>
struct GridLevels {
    HashLevelOf<T> level[kMaxHashLevels];
    int32_t count;    ///< L
    int32_t entries;  ///< of all levels
};

template <class T>
struct EncodeParams {
    GridLevels<T> grid;
    const T* table;          ///< [entries,F]
    const T* points;         ///< [N,3] in the unit cube; null for fixed points
    const int32_t* indices;  ///< [L,N,8] rows of the table; null for live points
    const T* fractions;      ///< [L,N,3]; null for live points
    int64_t n;
    int32_t features;
    T* out;  ///< [N,L·F] out
};

template <class T>
struct TableGradientParams {
    GridLevels<T> grid;
    const T* grad;               ///< [L,N,F]
    const int32_t* row_offsets;  ///< [entries+1] into columns
    const int32_t* columns;      ///< [nonzeros] points
    const T* weights;            ///< [nonzeros]
    int64_t n, nonzeros;
    int32_t features;
    T* grad_table;  ///< [entries,F] out
};

template <class T>
struct PointGradientParams {
    GridLevels<T> grid;
    const T* grad;    ///< [N,L·F]
    const T* table;   ///< [entries,F]
    const T* points;  ///< [N,3] in the unit cube
    int64_t n;
    int32_t features;
    T* grad_points;  ///< [N,3] out
};

template <class T>
struct CornerParams {
    GridLevels<T> grid;
    const T* points;  ///< [N,3] in the unit cube
    int64_t n;
    int32_t* indices;  ///< [L,N,8] out
    T* fractions;      ///< [L,N,3] out
};

template <class T>
struct TransposeParams {
    const int32_t* keys;   ///< [nonzeros] the indices, sorted
    const int32_t* order;  ///< [nonzeros] where in [L,N,8] each was before
    const T* fractions;    ///< [L,N,3]
    int64_t n, nonzeros;
    int32_t entries;
    int32_t* row_offsets;  ///< [entries+1] out
    int32_t* columns;      ///< [nonzeros] out
    T* weights;            ///< [nonzeros] out
};

/// The most features per level that launch_encode takes.
template <class T>
int64_t max_hash_features();

template <class T>
cudaError_t launch_encode(const EncodeParams<T>& p, cudaStream_t stream);
template <class T>
cudaError_t launch_table_gradient(const TableGradientParams<T>& p, cudaStream_t stream);
template <class T>
cudaError_t launch_point_gradient(const PointGradientParams<T>& p, cudaStream_t stream);
template <class T>
cudaError_t launch_corners(const CornerParams<T>& p, cudaStream_t stream);
template <class T>
cudaError_t launch_transpose(const TransposeParams<T>& p, cudaStream_t stream);

/// Sorts corners by entry; equal ones keep their order. keys: not negative; bits: of the keys that
/// count. storage: null to ask for `bytes`, else that much memory.
cudaError_t sort_corners(void* storage, size_t& bytes, const int32_t* keys_in, int32_t* keys_out,
                         const int32_t* order_in, int32_t* order_out, int64_t nonzeros, int bits,
                         cudaStream_t stream);

}  // namespace fmgs::detail
