/// The radix sorts of find_tiles: CUB's.
#include <fmgs/raster/cuda/tiles_kernels.h>
#include <cub/device/device_radix_sort.cuh>

namespace fmgs::raster {

template <class Key>
cudaError_t sort_pairs(void* storage, size_t& bytes, const Key* keys_in, Key* keys_out,
                       const int32_t* values_in, int32_t* values_out, int64_t count, int bits,
                       cudaStream_t stream) {
    return cub::DeviceRadixSort::SortPairs(storage, bytes, keys_in, keys_out, values_in, values_out,
                                           static_cast<int>(count), 0, bits, stream);
}

template <class Key>
cudaError_t sort_keys(void* storage, size_t& bytes, const Key* keys_in, Key* keys_out,
                      int64_t count, int bits, cudaStream_t stream) {
    return cub::DeviceRadixSort::SortKeys(storage, bytes, keys_in, keys_out,
                                          static_cast<int>(count), 0, bits, stream);
}

template cudaError_t sort_pairs<uint32_t>(void*, size_t&, const uint32_t*, uint32_t*,
                                          const int32_t*, int32_t*, int64_t, int, cudaStream_t);
template cudaError_t sort_keys<uint32_t>(void*, size_t&, const uint32_t*, uint32_t*, int64_t, int,
                                         cudaStream_t);
template cudaError_t sort_keys<uint64_t>(void*, size_t&, const uint64_t*, uint64_t*, int64_t, int,
                                         cudaStream_t);

}  // namespace fmgs::raster
