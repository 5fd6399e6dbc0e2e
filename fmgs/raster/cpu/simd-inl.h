/// The SIMD policy of tiles and surfels, by the compiler's vector types; part of
/// composite_tile-inl.h and surfel_packs-inl.h.
#include <fmgs/raster/surfel_math.h>
#include <math.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace fmgs::raster::FMGS_SET {
namespace {

FMGS_HD int64_t round_up(int64_t n, int64_t m) { return (n + m - 1) / m * m; }

template <class T>
struct LaneOf;
template <>
struct LaneOf<float> {
    using Type = int32_t;
};
template <>
struct LaneOf<double> {
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

/// What instruction sets differ in. Here comparisons give lanes of ones or zeros.
template <class T, int L>
struct Native {
    typedef T Value __attribute__((vector_size(L * sizeof(T))));
    typedef typename LaneOf<T>::Type Lanes __attribute__((vector_size(L * sizeof(T))));
    using Mask = Lanes;

    static FMGS_HD Mask less(Value a, Value b) { return a < b; }
    static FMGS_HD Mask at_most(Value a, Value b) { return a <= b; }
    static FMGS_HD Mask at_most(Lanes a, Lanes b) { return a <= b; }
    static FMGS_HD Value select(Mask m, Value a, Value b) { return m ? a : b; }
    static FMGS_HD Lanes select(Mask m, Lanes a, Lanes b) { return m ? a : b; }
    static FMGS_HD Value min(Value a, Value b) { return b < a ? b : a; }
    static FMGS_HD Value max(Value a, Value b) { return a < b ? b : a; }
    static FMGS_HD Value sqrt(Value v) {
#if defined(__AVX__)
        if constexpr (sizeof(v) == 32 && sizeof(T) == 4) return (Value)_mm256_sqrt_ps((__m256)v);
#endif
        for (int l = 0; l < L; ++l) v[l] = ::sqrt(v[l]);
        return v;
    }
    static FMGS_HD Value floor(Value v) {
#if defined(__AVX__)
        if constexpr (sizeof(v) == 32 && sizeof(T) == 4) return (Value)_mm256_floor_ps((__m256)v);
#endif
        for (int l = 0; l < L; ++l) v[l] = ::floor(v[l]);
        return v;
    }
    static FMGS_HD unsigned bits(Mask m) {
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
};

#if defined(__AVX512F__)
/// What comparisons of 64 bytes give: a bit for each lane.
struct LaneBits {
    __mmask16 bits;
    friend FMGS_HD LaneBits operator&(LaneBits a, LaneBits b) {
        return {static_cast<__mmask16>(a.bits & b.bits)};
    }
    friend FMGS_HD LaneBits operator~(LaneBits a) { return {static_cast<__mmask16>(~a.bits)}; }
};

/// Sixteen floats with AVX-512.
template <>
struct Native<float, 16> {
    typedef float Value __attribute__((vector_size(64)));
    typedef int32_t Lanes __attribute__((vector_size(64)));
    using Mask = LaneBits;

    static FMGS_HD Mask less(Value a, Value b) {
        return {_mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ)};
    }
    static FMGS_HD Mask at_most(Value a, Value b) {
        return {_mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LE_OQ)};
    }
    static FMGS_HD Mask at_most(Lanes a, Lanes b) {
        return {_mm512_cmple_epi32_mask((__m512i)a, (__m512i)b)};
    }
    static FMGS_HD Value select(Mask m, Value a, Value b) {
        return (Value)_mm512_mask_blend_ps(m.bits, (__m512)b, (__m512)a);
    }
    static FMGS_HD Lanes select(Mask m, Lanes a, Lanes b) {
        return (Lanes)_mm512_mask_blend_epi32(m.bits, (__m512i)b, (__m512i)a);
    }
    static FMGS_HD Value min(Value a, Value b) {
        return (Value)_mm512_min_ps((__m512)b, (__m512)a);
    }
    static FMGS_HD Value max(Value a, Value b) {
        return (Value)_mm512_max_ps((__m512)b, (__m512)a);
    }
    static FMGS_HD Value sqrt(Value v) { return (Value)_mm512_sqrt_ps((__m512)v); }
    static FMGS_HD Value floor(Value v) {
        return (Value)_mm512_roundscale_ps((__m512)v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    }
    static FMGS_HD unsigned bits(Mask m) { return m.bits; }
};
#endif

/// SIMD policy: L lanes of T, 4, 8 or 16.
template <class T, int L>
struct Simd : Native<T, L> {
    using Scalar = T;
    using Lane = typename LaneOf<T>::Type;
    using typename Native<T, L>::Value;
    using typename Native<T, L>::Lanes;
    using Native<T, L>::min;
    using Native<T, L>::floor;
    static constexpr int kLanes = L;

    static FMGS_HD Value set(T x) { return x - Value{}; }
    static FMGS_HD Lanes iota_lanes() {
        Lanes v;
        for (int l = 0; l < L; ++l) v[l] = static_cast<Lane>(l);
        return v;
    }
    static FMGS_HD Lanes set_lanes(Lane x) { return x - Lanes{}; }
    static FMGS_HD Lanes to_lanes(Value x) { return __builtin_convertvector(x, Lanes); }
    static FMGS_HD Value from_lanes(Lanes x) { return __builtin_convertvector(x, Value); }
    static FMGS_HD Lanes bits_of(Value x) { return (Lanes)x; }
    static FMGS_HD Value of_bits(Lanes x) { return (Value)x; }
    static FMGS_HD Value ceil(Value x) { return -floor(-x); }
    static FMGS_HD Value load(const T* p) {
        Value v;
        memcpy(&v, p, sizeof v);
        return v;
    }
    static FMGS_HD void store(T* p, Value v) { memcpy(p, &v, sizeof v); }
    static FMGS_HD Lanes load_lanes(const Lane* p) {
        Lanes v;
        memcpy(&v, p, sizeof v);
        return v;
    }
    static FMGS_HD void store_lanes(Lane* p, Lanes v) { memcpy(p, &v, sizeof v); }
    /// e^(-ρ/2) for ρ in [0, 160]; above some number under e⁻⁸⁰.
    static FMGS_HD Value gauss(Value rho) {
        if constexpr (sizeof(T) == 8) {
            for (int l = 0; l < L; ++l) rho[l] = ::exp(-0.5 * rho[l]);
            return rho;
        } else {
            // 2ⁿ·2ᵗ with n the integer next to the exponent; the minimax polynomial of degree 6 is
            // within 2e-9 for |t| ≤ 1/2. Adding `magic` leaves n in the lowest bits.
            constexpr float kScale = -0.721347520f;  // -1/(2 ln 2)
            rho = min(set(160), rho);
            const Value magic = set(12582912.0f), shifted = rho * kScale + magic;
            const Value t = rho * kScale - (shifted - magic), t2 = t * t;
            // in pairs: half as long a chain as Horner's
            const Value high = (t * 1.33999312e-3f + 9.61848896e-3f) + t2 * 1.53458120e-4f;
            const Value low = (t * 0.0555032878f + 0.240226469f) + t2 * high;
            const Value p = (t * 0.693147206f + 1.0f) + t2 * low;
            return (Value)((Lanes)p + ((Lanes)shifted << 23));
        }
    }
    static FMGS_HD Value log(Value x) {
        for (int l = 0; l < L; ++l) x[l] = ::log(x[l]);
        return x;
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
            return store_lanes(
                to, (Lanes)_mm512_maskz_compress_epi32(static_cast<__mmask16>(c.bits),
                                                       (__m512i)(set_lanes(first) + iota_lanes())));
#elif defined(__AVX2__)
        if constexpr (sizeof(Value) == 32 && sizeof(T) == 4)
            return store_lanes(to, (Lanes)_mm256_permutevar8x32_epi32(
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
