/// The radix sort behind the columns of live points: CUB's.
#include <fmgs/fields/hash/hash_grid_kernels.h>

#include <cub/device/device_radix_sort.cuh>

namespace fmgs::detail {

cudaError_t sort_corners(void* storage, size_t& bytes, const int32_t* keys_in, int32_t* keys_out,
                         const int32_t* order_in, int32_t* order_out, int64_t nonzeros, int bits,
                         cudaStream_t stream) {
    return cub::DeviceRadixSort::SortPairs(storage, bytes,
                                           reinterpret_cast<const uint32_t*>(keys_in),
                                           reinterpret_cast<uint32_t*>(keys_out), order_in,
                                           order_out, static_cast<int>(nonzeros), 0, bits, stream);
}

}  // namespace fmgs::detail
