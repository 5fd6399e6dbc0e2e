#pragma once
/// Device code that the kernels of the hash grid share: rows of features in as few words as their
/// number allows.
#include <fmgs/core/cuda/launch.h>
#include <fmgs/fields/hash/hash_grid_kernels.h>

#include <type_traits>
#include <utility>

namespace fmgs::detail {

/// kWide neighbouring features of a row, read and written at once.
template <class T, int kWide>
struct alignas(sizeof(T) * kWide < 16 ? sizeof(T) * kWide : 16) Features {
    T v[kWide];
};

template <int kWide, class T>
__device__ __forceinline__ Features<T, kWide> load_features(const T* at) {
    return *reinterpret_cast<const Features<T, kWide>*>(at);
}

template <int kWide, class T>
__device__ __forceinline__ void store_features(T* at, const Features<T, kWide>& features) {
    *reinterpret_cast<Features<T, kWide>*>(at) = features;
}

/// Calls f(integral_constant<kWide>) with the widest that divides the rows.
template <class Function>
cudaError_t with_wide_features(int32_t features, Function&& f) {
    if (features % 4 == 0) return f(std::integral_constant<int, 4>{});
    if (features % 2 == 0) return f(std::integral_constant<int, 2>{});
    return f(std::integral_constant<int, 1>{});
}

}  // namespace fmgs::detail
