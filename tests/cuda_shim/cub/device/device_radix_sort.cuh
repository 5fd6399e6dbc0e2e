#pragma once
/// Stands in for CUB's radix sort: the same interface and result, by the standard library.
#include <cuda_runtime.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace cub {

struct DeviceRadixSort {
    template <class Key>
    static Key digits(Key key, int begin, int end) {
        const Key shifted = key >> begin;
        return end - begin >= static_cast<int>(8 * sizeof(Key))
                   ? shifted
                   : shifted & ((Key{1} << (end - begin)) - 1);
    }

    template <class Key, class Value>
    static cudaError_t SortPairs(void* storage, size_t& bytes, const Key* keys_in, Key* keys_out,
                                 const Value* values_in, Value* values_out, int count,
                                 int begin = 0, int end = 8 * sizeof(Key), cudaStream_t = nullptr) {
        if (!storage) {
            bytes = 1;
            return cudaSuccess;
        }
        std::vector<int> order(static_cast<size_t>(count));
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
            return digits(keys_in[a], begin, end) < digits(keys_in[b], begin, end);
        });
        for (int i = 0; i < count; ++i) {
            keys_out[i] = keys_in[order[static_cast<size_t>(i)]];
            values_out[i] = values_in[order[static_cast<size_t>(i)]];
        }
        return cudaSuccess;
    }

    template <class Key>
    static cudaError_t SortKeys(void* storage, size_t& bytes, const Key* keys_in, Key* keys_out,
                                int count, int begin = 0, int end = 8 * sizeof(Key),
                                cudaStream_t = nullptr) {
        std::vector<char> values(static_cast<size_t>(count));
        return SortPairs(storage, bytes, keys_in, keys_out, values.data(), values.data(), count,
                         begin, end);
    }
};

}  // namespace cub
