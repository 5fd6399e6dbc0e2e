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

#if defined(__AVX2__)
/// For every set of eight lanes the lanes themselves, then zeros.
struct LaneOrder {
    alignas(8) uint8_t lane[256][8] = {};
    constexpr LaneOrder() {
        for (int bits = 0; bits < 256; ++bits) {
            int n = 0;
            for (int l = 0; l < 8; ++l) {
                if (bits >> l & 1) lane[bits][n++] = static_cast<uint8_t>(l);
            }
        }
    }
};
constexpr LaneOrder kLaneOrder;
#endif

/// SIMD policy: L lanes of T, 4, 8 or 16.
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
    static FMGS_HD Mask iota_lanes() {
        Mask v;
        for (int l = 0; l < L; ++l) v[l] = static_cast<Lane>(l);
        return v;
    }
    static FMGS_HD Mask set_lanes(Lane x) { return x - Mask{}; }
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
            const Value t2 = t * t;  // in pairs: half as long a chain as Horner's
            const Value low = (t + 1.0f) + t2 * (t * (1.0f / 6) + 0.5f);
            const Value high = (t * (1.0f / 120) + 1.0f / 24) + t2 * (t * (1.0f / 5040) + 1.0f / 720);
            const Value p = low + (t2 * t2) * high;
            const Mask exponent = (__builtin_convertvector(n, Mask) + 127) << 23;
            return p * (Value)exponent;
        }
    }
    static FMGS_HD unsigned bits(Mask m) {
#if defined(__AVX512DQ__)
        if constexpr (sizeof(m) == 64 && sizeof(T) == 4) return _mm512_movepi32_mask((__m512i)m);
        if constexpr (sizeof(m) == 64 && sizeof(T) == 8) return _mm512_movepi64_mask((__m512i)m);
#elif defined(__AVX__)
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
    /// The sums of four packs.
    static FMGS_HD void sum4(const Value* v, T* out) {
        if constexpr (L == 4) {
            const Value ab = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5) +
                             __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
            const Value cd = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5) +
                             __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
            store(out, __builtin_shufflevector(ab, cd, 0, 1, 4, 5) +
                           __builtin_shufflevector(ab, cd, 2, 3, 6, 7));
        } else {
            using Half = Simd<T, L / 2>;
            typename Half::Value half[4];
            for (int j = 0; j < 4; ++j) half[j] = fold(v[j]);
            Half::sum4(half, out);
        }
    }

    /// How compress() brings the lanes named by `bits` to the front.
#if defined(__AVX2__) && !defined(__AVX512F__)
    struct Compaction {
        __m256i order;
        unsigned bits;
    };
    static FMGS_HD Compaction compaction(unsigned bits) {
        return {_mm256_cvtepu8_epi32(_mm_loadl_epi64(
                    reinterpret_cast<const __m128i*>(kLaneOrder.lane[L == 8 ? bits : 0]))),
                bits};
    }
#else
    struct Compaction {
        unsigned bits;
    };
    static FMGS_HD Compaction compaction(unsigned bits) { return {bits}; }
#endif
    /// Stores the chosen lanes one after the other; may write up to L values.
    static FMGS_HD void compress(T* to, Value v, Compaction c) {
#if defined(__AVX512F__)
        if constexpr (sizeof(v) == 64 && sizeof(T) == 4)
            return store(
                to, (Value)_mm512_maskz_compress_ps(static_cast<__mmask16>(c.bits), (__m512)v));
        if constexpr (sizeof(v) == 64 && sizeof(T) == 8)
            return store(
                to, (Value)_mm512_maskz_compress_pd(static_cast<__mmask8>(c.bits), (__m512d)v));
#elif defined(__AVX2__)
        if constexpr (sizeof(v) == 32 && sizeof(T) == 4)
            return store(to, (Value)_mm256_permutevar8x32_ps((__m256)v, c.order));
#endif
        for (unsigned bits = c.bits; bits; bits &= bits - 1) *to++ = v[__builtin_ctz(bits)];
    }
    /// The same for the integers first, first + 1, …
    static FMGS_HD void compress_lanes(Lane* to, Lane first, Compaction c) {
#if defined(__AVX512F__)
        if constexpr (sizeof(Value) == 64 && sizeof(T) == 4)
            return store_mask(
                to, (Mask)_mm512_maskz_compress_epi32(static_cast<__mmask16>(c.bits),
                                                      (__m512i)(set_lanes(first) + iota_lanes())));
#elif defined(__AVX2__)
        if constexpr (sizeof(Value) == 32 && sizeof(T) == 4)
            return store_mask(to, (Mask)_mm256_permutevar8x32_epi32(
                                      (__m256i)(set_lanes(first) + iota_lanes()), c.order));
#endif
        for (unsigned bits = c.bits; bits; bits &= bits - 1) *to++ = first + __builtin_ctz(bits);
    }

  private:
    /// The first half of a pack plus the second.
    static FMGS_HD auto fold(Value v) {
        if constexpr (L == 16) {
            return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                   __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
        } else {
            return __builtin_shufflevector(v, v, 0, 1, 2, 3) +
                   __builtin_shufflevector(v, v, 4, 5, 6, 7);
        }
    }
};

}  // namespace
}  // namespace fmgs::raster::FMGS_SET
