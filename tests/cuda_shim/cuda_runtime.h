#pragma once
/// Runs kernels on the CPU, for tests: stands in for the toolkit's <cuda_runtime.h> when a .cu file
/// is compiled as C++. A launch runs one block after another; the threads of a block are fibers of
/// the calling thread, switched at barriers and warp operations, in an order that a seed decides,
/// so that a missing barrier shows as a result that changes with the seed. Dynamic shared memory is
/// filled with NaN before each block. ThreadSanitizer sees a fiber as a thread, ordered by barriers
/// alone: it finds races within a block. Refused with an exception: a warp operation or barrier
/// that a thread of the warp or block never reaches, warp operations of parts of a warp, more
/// dynamic shared memory than the smallest GPU has. "Device" pointers are host pointers; streams do
/// nothing.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

// The names are CUDA's.
// NOLINTBEGIN(bugprone-reserved-identifier)
#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __constant__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
};
inline const char* cudaGetErrorString(cudaError_t error) {
    return error == cudaSuccess ? "no error" : "error";
}
using cudaStream_t = struct CUstream_st*;

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct uint3 {
    unsigned x, y, z;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) int4 {
    int x, y, z, w;
};

namespace fmgs::cuda_shim {

constexpr size_t kMaxDynamicShared = size_t{64} * 1024;  ///< bytes; what every GPU since 7.5 has
constexpr size_t kDefaultDynamicShared = size_t{48} * 1024;

/// Where the running fiber is.
struct Place {
    uint3 thread{}, block{};
    dim3 block_size, grid_size;
    unsigned lane = 0;
};
Place& place();

/// Order of the fibers of the launches to come; 0: by index.
void set_schedule(uint64_t seed);
/// Kernels launched since the program started.
int64_t launches();

unsigned char* dynamic_shared();
/// Deposits a value, waits for the whole block, and returns what all deposited; valid until the
/// next barrier.
const uint64_t* block_gather(uint64_t value);
/// Deposits a value, waits for the whole warp, and returns what lane `from` deposited.
uint64_t warp_exchange(unsigned mask, uint64_t value, unsigned from);
/// The same, returning the values of all lanes; valid until the next warp operation. Whether what
/// was written before is seen after it matters to ThreadSanitizer only.
const uint64_t* warp_gather(unsigned mask, uint64_t value, bool orders_memory = false);
/// Runs the body as every thread of every block.
cudaError_t run(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& body);

template <class T>
uint64_t to_bits(T value) {
    static_assert(sizeof(T) <= 8);
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    return bits;
}
template <class T>
T from_bits(uint64_t bits) {
    T value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

}  // namespace fmgs::cuda_shim

namespace fmgs::cuda_shim {
/// One of the built-in variables: reads the running fiber's.
struct Coordinate {
    unsigned (*read)();
    operator unsigned() const { return read(); }
};
struct Coordinates {
    Coordinate x, y, z;
};
}  // namespace fmgs::cuda_shim

#define FMGS_COORDINATES(name, member)                          \
    inline constexpr fmgs::cuda_shim::Coordinates name {        \
        {[] { return fmgs::cuda_shim::place().member.x; }},     \
            {[] { return fmgs::cuda_shim::place().member.y; }}, \
            {[] { return fmgs::cuda_shim::place().member.z; }}, \
    }
FMGS_COORDINATES(threadIdx, thread);
FMGS_COORDINATES(blockIdx, block);
FMGS_COORDINATES(blockDim, block_size);
FMGS_COORDINATES(gridDim, grid_size);
#undef FMGS_COORDINATES
constexpr int warpSize = 32;

inline void __syncthreads() { fmgs::cuda_shim::block_gather(0); }
inline int __syncthreads_or(int predicate) {
    const uint64_t* all = fmgs::cuda_shim::block_gather(predicate != 0);
    const dim3& size = fmgs::cuda_shim::place().block_size;
    for (unsigned i = 0; i < size.x * size.y * size.z; ++i) {
        if (all[i] != 0) return 1;
    }
    return 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu) { fmgs::cuda_shim::warp_gather(mask, 0, true); }
inline unsigned __ballot_sync(unsigned mask, int predicate) {
    const uint64_t* all = fmgs::cuda_shim::warp_gather(mask, predicate != 0);
    unsigned bits = 0;
    for (unsigned lane = 0; lane < 32; ++lane) bits |= static_cast<unsigned>(all[lane]) << lane;
    return bits;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) {
    return __ballot_sync(mask, predicate) == ~0u;
}
template <class T>
T __shfl_sync(unsigned mask, T value, int from) {
    using namespace fmgs::cuda_shim;
    return from_bits<T>(warp_exchange(mask, to_bits(value), static_cast<unsigned>(from) & 31));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int with) {
    using namespace fmgs::cuda_shim;
    return from_bits<T>(
        warp_exchange(mask, to_bits(value), place().lane ^ static_cast<unsigned>(with)));
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta) {
    using namespace fmgs::cuda_shim;
    const unsigned from = place().lane + delta;
    return from_bits<T>(warp_exchange(mask, to_bits(value), from < 32 ? from : place().lane));
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta) {
    using namespace fmgs::cuda_shim;
    const unsigned lane = place().lane;
    return from_bits<T>(warp_exchange(mask, to_bits(value), lane >= delta ? lane - delta : lane));
}

inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline unsigned __float_as_uint(float x) {
    return fmgs::cuda_shim::from_bits<unsigned>(fmgs::cuda_shim::to_bits(x));
}
template <class T>
T __ldg(const T* p) {
    return *p;
}
[[noreturn]] inline void __trap() { throw std::runtime_error("a kernel trapped"); }

// One fiber runs at a time and is switched at barriers only: plain arithmetic is atomic.
#define FMGS_ATOMIC __attribute__((no_sanitize("thread")))
template <class T, class V>
FMGS_ATOMIC T atomicAdd(T* p, V value) {
    const T old = *p;
    *p = old + static_cast<T>(value);
    return old;
}
template <class T, class V>
FMGS_ATOMIC T atomicMax(T* p, V value) {
    const T old = *p;
    if (static_cast<T>(value) > old) *p = static_cast<T>(value);
    return old;
}

// ---- The runtime ------------------------------------------------------------------------------

struct cudaLaunchAttribute {};
struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes = 0;
    cudaStream_t stream = nullptr;
    cudaLaunchAttribute* attrs = nullptr;
    unsigned numAttrs = 0;
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };

namespace fmgs::cuda_shim {
/// Bytes of dynamic shared memory that were allowed for a kernel.
size_t& allowed_dynamic_shared(const void* kernel);
}  // namespace fmgs::cuda_shim

template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel* kernel, cudaFuncAttribute, int bytes) {
    if (bytes < 0 || static_cast<size_t>(bytes) > fmgs::cuda_shim::kMaxDynamicShared)
        return cudaErrorInvalidValue;
    fmgs::cuda_shim::allowed_dynamic_shared(reinterpret_cast<const void*>(kernel)) =
        static_cast<size_t>(bytes);
    return cudaSuccess;
}

template <class... Expected, class... Actual>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Expected...),
                               Actual&&... arguments) {
    if (config->dynamicSmemBytes >
        fmgs::cuda_shim::allowed_dynamic_shared(reinterpret_cast<const void*>(kernel)))
        return cudaErrorInvalidValue;
    const std::tuple<std::decay_t<Expected>...> values(std::forward<Actual>(arguments)...);
    return fmgs::cuda_shim::run(config->gridDim, config->blockDim, config->dynamicSmemBytes,
                                [&] { std::apply(kernel, values); });
}

inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t) {
    std::memset(p, value, bytes);
    return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, int, cudaStream_t) {
    std::memcpy(to, from, bytes);
    return cudaSuccess;
}
// NOLINTEND(bugprone-reserved-identifier)
