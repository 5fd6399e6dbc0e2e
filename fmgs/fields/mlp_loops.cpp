#include <fmgs/fields/mlp_loops.h>

#include <cstring>

#if defined(__GNUC__) && !defined(__clang__)
// GCC does not pack comparisons that might trap.
#pragma GCC optimize("no-trapping-math")
#endif

// Compiled for several instruction sets; the first call chooses. A sanitizer's own start-up is too
// late for that.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define FMGS_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FMGS_CLONES
#endif
#define FMGS_INLINE inline __attribute__((always_inline))

namespace fmgs::detail {
namespace {

using Half = c10::BFloat16;

FMGS_INLINE float value_of(float x) { return x; }
FMGS_INLINE double value_of(double x) { return x; }
FMGS_INLINE float value_of(Half x) {
    const uint32_t bits = uint32_t{x.x} << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

FMGS_INLINE void store(float* to, float x) { *to = x; }
FMGS_INLINE void store(double* to, double x) { *to = x; }
/// To the nearest, ties to even; NaN stays NaN. Without branches, for packs.
FMGS_INLINE void store(Half* to, float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    to->x = static_cast<uint16_t>(x == x ? rounded : 0x7fc0);
}

template <class S, class T>
FMGS_INLINE void add_bias_of(S* h, const T* bias, int64_t rows, int64_t columns, bool leaky) {
    const T slope = leaky ? T(kMlpSlope) : T(1);
    for (int64_t r = 0; r < rows; ++r, h += columns) {
#pragma GCC ivdep
        for (int64_t c = 0; c < columns; ++c) {
            const T x = value_of(h[c]) + bias[c];
            store(h + c, x > 0 ? x : slope * x);
        }
    }
}

template <class S, class T>
FMGS_INLINE void leaky_backward_of(S* g, const S* h, int64_t rows, int64_t columns, T* sum) {
    for (int64_t r = 0; r < rows; ++r, g += columns, h += columns) {
#pragma GCC ivdep
        for (int64_t c = 0; c < columns; ++c) {
            const T x = value_of(g[c]) * (value_of(h[c]) > 0 ? T(1) : T(kMlpSlope));
            store(g + c, x);
            sum[c] += x;
        }
    }
}

}  // namespace

FMGS_CLONES void add_bias(float* h, const float* bias, int64_t rows, int64_t columns, bool leaky) {
    add_bias_of(h, bias, rows, columns, leaky);
}
FMGS_CLONES void add_bias(double* h, const double* bias, int64_t rows, int64_t columns,
                          bool leaky) {
    add_bias_of(h, bias, rows, columns, leaky);
}
FMGS_CLONES void add_bias(Half* h, const float* bias, int64_t rows, int64_t columns, bool leaky) {
    add_bias_of(h, bias, rows, columns, leaky);
}

FMGS_CLONES void leaky_backward(float* g, const float* h, int64_t rows, int64_t columns,
                                float* sum) {
    leaky_backward_of(g, h, rows, columns, sum);
}
FMGS_CLONES void leaky_backward(double* g, const double* h, int64_t rows, int64_t columns,
                                double* sum) {
    leaky_backward_of(g, h, rows, columns, sum);
}
FMGS_CLONES void leaky_backward(Half* g, const Half* h, int64_t rows, int64_t columns, float* sum) {
    leaky_backward_of(g, h, rows, columns, sum);
}
FMGS_CLONES void convert(const float* from, int64_t count, Half* to) {
    for (int64_t k = 0; k < count; ++k) store(to + k, from[k]);
}

}  // namespace fmgs::detail
