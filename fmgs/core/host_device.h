#pragma once
/// FMGS_HD: a function that kernels on a GPU, the CPU backends and the tests share. C++17, no
/// torch.

#if defined(__CUDACC__)
#define FMGS_HD __host__ __device__ __forceinline__
#else
// always_inline: a copy of such a function compiled for AVX must never be linked into code that
// runs anywhere.
#define FMGS_HD __attribute__((always_inline)) inline
#endif
