/// The SIMD policy of the tile functions, by the compiler's vector types; part of
/// composite_tile-inl.h.
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
/// For every set of eight lanes how many of it come before each lane, -1 for lanes outside.
struct LaneRank {
    alignas(8) int8_t lane[256][8] = {};
    constexpr LaneRank() {
        for (int bits = 0; bits < 256; ++bits) {
            int8_t n = 0;
            for (int l = 0; l < 8; ++l) lane[bits][l] = bits >> l & 1 ? n++ : int8_t{-1};
        }
    }
};
constexpr LaneRank kLaneRank;
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
            const Value high =
                (t * (1.0f / 120) + 1.0f / 24) + t2 * (t * (1.0f / 5040) + 1.0f / 720);
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
    /// Adds to out[0…3] what the lanes of each of four packs add up to.
    static FMGS_HD void add_sums(const Value* v, T* out) {
        add_fold(join(join(v[0], v[1]), join(v[2], v[3])), out);
    }
    /// Stores the sum of each of N packs.
    template <int N>
    static FMGS_HD void sums(const Value* v, T* out) {
        for (int n = 0; n < N; n += kLanes) {
            const int count = N - n < kLanes ? N - n : kLanes, parts = (count + 3) / 4;
            // Lane 4b+j of part i: what the lanes 4b…4b+3 of pack n+4i+j add up to.
            Value part[kBlocks];
            for (int i = 0; i < parts; ++i) {
                const auto at = [&](int j) {
                    return n + 4 * i + j < N ? v[n + 4 * i + j] : set(0);
                };
                part[i] = join(join(at(0), at(1)), join(at(2), at(3)));
            }
            if (parts == kBlocks) {
                store_first(out + n, join_blocks(part), count);
            } else {
                for (int i = 0; i < parts; ++i)
                    store_fold(out + n + 4 * i, part[i], count - 4 * i < 4 ? count - 4 * i : 4);
            }
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

    /// The inverse: the chosen lanes of v become from[0], from[1], …; may read up to L values.
    static FMGS_HD Value expand(Value v, const T* from, Compaction c) {
#if defined(__AVX512F__)
        if constexpr (sizeof(v) == 64 && sizeof(T) == 4)
            return (Value)_mm512_mask_expand_ps((__m512)v, static_cast<__mmask16>(c.bits),
                                                (__m512)load(from));
        if constexpr (sizeof(v) == 64 && sizeof(T) == 8)
            return (Value)_mm512_mask_expand_pd((__m512d)v, static_cast<__mmask8>(c.bits),
                                                (__m512d)load(from));
#elif defined(__AVX2__)
        if constexpr (sizeof(v) == 32 && sizeof(T) == 4) {
            const __m256i rank = _mm256_cvtepi8_epi32(
                _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kLaneRank.lane[c.bits])));
            return (Value)_mm256_blendv_ps(_mm256_permutevar8x32_ps((__m256)load(from), rank),
                                           (__m256)v, _mm256_castsi256_ps(rank));
        }
#endif
        for (unsigned bits = c.bits; bits; bits &= bits - 1) v[__builtin_ctz(bits)] = *from++;
        return v;
    }

  private:
    static constexpr int kBlocks = L / 4;  // of four lanes

    /// In every block of four lanes the sums of a's neighbours, then those of b's.
    static FMGS_HD Value join(Value a, Value b) {
        if constexpr (L == 16) {
            return __builtin_shufflevector(a, b, 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14,
                                           28, 30) +
                   __builtin_shufflevector(a, b, 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15,
                                           29, 31);
        } else if constexpr (L == 8) {
            return __builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14) +
                   __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15);
        } else {
            return __builtin_shufflevector(a, b, 0, 2, 4, 6) +
                   __builtin_shufflevector(a, b, 1, 3, 5, 7);
        }
    }
    /// One after the other, the sums of each pack's blocks.
    static FMGS_HD Value join_blocks(const Value* v) {
        if constexpr (L == 16) {
            const auto two = [](Value a, Value b) {
                return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24,
                                               25, 26, 27) +
                       __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28,
                                               29, 30, 31);
            };
            return two(two(v[0], v[1]), two(v[2], v[3]));
        } else if constexpr (L == 8) {
            return __builtin_shufflevector(v[0], v[1], 0, 1, 2, 3, 8, 9, 10, 11) +
                   __builtin_shufflevector(v[0], v[1], 4, 5, 6, 7, 12, 13, 14, 15);
        } else {
            return v[0];
        }
    }
    /// Adds the sum of a pack's blocks.
    static FMGS_HD void add_fold(Value v, T* out) {
        if constexpr (L == 4) {
            store(out, load(out) + v);
        } else {
            using Half = Simd<T, L / 2>;
            typename Half::Value half[2];
            memcpy(half, &v, sizeof v);
            Half::add_fold(half[0] + half[1], out);
        }
    }
    /// Stores the first lanes of the sum of a pack's blocks.
    static FMGS_HD void store_fold(T* out, Value v, int count) {
        if constexpr (L == 4) {
            store_first(out, v, count);
        } else {
            using Half = Simd<T, L / 2>;
            typename Half::Value half[2];
            memcpy(half, &v, sizeof v);
            Half::store_fold(out, half[0] + half[1], count);
        }
    }
    /// Stores the first lanes.
    static FMGS_HD void store_first(T* out, Value v, int count) {
#if defined(__AVX512F__)
        if constexpr (sizeof(v) == 64 && sizeof(T) == 4)
            return _mm512_mask_storeu_ps(out, static_cast<__mmask16>((1U << count) - 1), (__m512)v);
#endif
        memcpy(out, &v, sizeof(T) * static_cast<size_t>(count));
    }
    template <class, int>
    friend struct Simd;
};

}  // namespace
}  // namespace fmgs::raster::FMGS_SET
