/// The SIMD policy of the tile functions, by the compiler's vector types; part of composite_tile.h.
#include <fmgs/raster/surfel_math.h>
#include <math.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace fmgs::raster::FMGS_SET {
namespace {

template <class T>
struct MaskOf;
template <>
struct MaskOf<float> {
    using Type = int32_t;
};
template <>
struct MaskOf<double> {
    using Type = int64_t;
};

/// SIMD policy: L lanes of T.
template <class T, int L>
struct Simd {
    using Scalar = T;
    using Lane = typename MaskOf<T>::Type;
    static constexpr int kLanes = L;
    typedef T Value __attribute__((vector_size(L * sizeof(T))));
    typedef Lane Mask __attribute__((vector_size(L * sizeof(T))));

    static FMGS_HD Value select(Mask m, Value a, Value b) { return m ? a : b; }
    static FMGS_HD Value min(Value a, Value b) { return b < a ? b : a; }
    static FMGS_HD Value max(Value a, Value b) { return a < b ? b : a; }
    static FMGS_HD Value set(T x) { return x - Value{}; }
    static FMGS_HD Value iota() {
        Value v;
        for (int l = 0; l < L; ++l) v[l] = static_cast<T>(l);
        return v;
    }
    static FMGS_HD Value load(const T* p) {
        Value v;
        memcpy(&v, p, sizeof v);
        return v;
    }
    static FMGS_HD void store(T* p, Value v) { memcpy(p, &v, sizeof v); }
    static FMGS_HD Mask load_mask(const Lane* p) {
        Mask v;
        memcpy(&v, p, sizeof v);
        return v;
    }
    static FMGS_HD void store_mask(Lane* p, Mask v) { memcpy(p, &v, sizeof v); }
    static FMGS_HD Value sqrt(Value a) {
#if defined(__AVX512F__)
        if constexpr (sizeof(a) == 64 && sizeof(T) == 4)
            return (Value)_mm512_maskz_sqrt_ps(0xffff, (__m512)a);
#endif
#if defined(__AVX__)
        if constexpr (sizeof(a) == 32 && sizeof(T) == 4) return (Value)_mm256_sqrt_ps((__m256)a);
#endif
#if defined(__SSE2__)
        if constexpr (sizeof(a) == 16 && sizeof(T) == 4) return (Value)_mm_sqrt_ps((__m128)a);
#endif
        for (int l = 0; l < L; ++l) a[l] = sizeof(T) == 4 ? ::sqrtf(a[l]) : ::sqrt(a[l]);
        return a;
    }
    /// For arguments in [-80, 0]; below that the result is some number under e⁻⁸⁰.
    static FMGS_HD Value exp(Value x) {
        if constexpr (sizeof(T) == 8) {
            for (int l = 0; l < L; ++l) x[l] = ::exp(x[l]);
            return x;
        } else {
            // 2ⁿ·eᵗ with n = round(x/ln 2) and |t| ≤ ln 2 / 2; Taylor's polynomial of degree 7 is
            // within 5e-9 there.
            x = max(x, set(-80));
            const Value magic = set(12582912.0f);
            const Value n = (x * 1.44269504f + magic) - magic;
            const Value t = (x - n * 0.693359375f) + n * 2.12194440e-4f;
            Value p = set(1.0f / 5040);
            p = p * t + 1.0f / 720;
            p = p * t + 1.0f / 120;
            p = p * t + 1.0f / 24;
            p = p * t + 1.0f / 6;
            p = p * t + 0.5f;
            p = p * t + 1.0f;
            p = p * t + 1.0f;
            const Mask exponent = (__builtin_convertvector(n, Mask) + 127) << 23;
            return p * (Value)exponent;
        }
    }
    static FMGS_HD unsigned bits(Mask m) {
#if defined(__AVX512DQ__)
        if constexpr (sizeof(m) == 64 && sizeof(T) == 4) return _mm512_movepi32_mask((__m512i)m);
#endif
#if defined(__AVX__)
        if constexpr (sizeof(m) == 32 && sizeof(T) == 4)
            return static_cast<unsigned>(_mm256_movemask_ps((__m256)m));
        if constexpr (sizeof(m) == 32 && sizeof(T) == 8)
            return static_cast<unsigned>(_mm256_movemask_pd((__m256d)m));
#endif
#if defined(__SSE2__)
        if constexpr (sizeof(m) == 16 && sizeof(T) == 4)
            return static_cast<unsigned>(_mm_movemask_ps((__m128)m));
#endif
        unsigned out = 0;
        for (int l = 0; l < L; ++l) out |= static_cast<unsigned>(m[l] & 1) << l;
        return out;
    }
    static FMGS_HD T sum(Value v) {
        T s[L];
        memcpy(s, &v, sizeof v);
        for (int n = L / 2; n > 0; n /= 2) {
            for (int l = 0; l < n; ++l) s[l] += s[l + n];
        }
        return s[0];
    }
};

}  // namespace
}  // namespace fmgs::raster::FMGS_SET
