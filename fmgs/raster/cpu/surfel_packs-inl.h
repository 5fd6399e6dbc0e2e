/// Projection of surfels and their gradients, a pack of surfels at a time; compiled once per
/// instruction set, as composite_tile-inl.h, but without contraction to fused operations: boxes and
/// centres have the same bits everywhere.
#include <fmgs/raster/cpu/composite.h>
#include <fmgs/raster/cpu/simd-inl.h>

namespace fmgs::raster::FMGS_SET {
namespace {

/// Numbers of the surfels in a pack: those of one surfel apart from each other.
template <class M, int kNumbers>
struct Columns {
    alignas(kCacheLine) typename M::Scalar number[kNumbers][M::kLanes];

    typename M::Value operator[](int k) const { return M::load(number[k]); }
    void set(int k, typename M::Value v) { M::store(number[k], v); }
};

/// The surfels [first, first + count), count ≤ kLanes; behind them the last one again.
template <class M>
Surfel<typename M::Value> load_surfels(const SurfelRows<typename M::Scalar>& rows, int64_t first,
                                       int64_t count) {
    Columns<M, 10> in;
    for (int l = 0; l < M::kLanes; ++l) {
        const int64_t i = first + (l < count ? l : count - 1);
        for (int k = 0; k < 3; ++k) in.number[k][l] = rows.center[3 * i + k];
        for (int k = 0; k < 6; ++k) in.number[3 + k][l] = rows.tangents[6 * i + k];
        in.number[9][l] = rows.opacity[i];
    }
    return {{in[0], in[1], in[2]}, {in[3], in[5], in[7]}, {in[4], in[6], in[8]}, in[9]};
}

template <class M>
void project_rows(const SurfelRows<typename M::Scalar>& rows, int64_t first, int64_t last,
                  Projected<typename M::Scalar>* out) {
    using T = typename M::Scalar;
    using Pack = Projected<typename M::Value, typename M::Lanes>;
    constexpr int L = M::kLanes, kNumbers = 14;  // before the box
    const SurfelRows<T> call = rows;  // a copy: a store might change anything that is not local
    for (int64_t i = first; i < last; i += L) {
        const int64_t count = last - i < L ? last - i : L;
        alignas(kCacheLine) Pack pack;
        project<M>(load_surfels<M>(call, i, count), call.intrinsics, call.near, call.low_pass,
                   call.width, call.height, pack);
        T number[kNumbers][L];
        typename M::Lane box[4][L];
        static_assert(sizeof(Pack) == sizeof number + sizeof box);
        memcpy(number, &pack, sizeof number);
        memcpy(box, &pack.x0, sizeof box);
        for (int l = 0; l < count; ++l) {
            T own[kNumbers];
            for (int k = 0; k < kNumbers; ++k) own[k] = number[k][l];
            Projected<T>& to = out[i - first + l];
            memcpy(static_cast<void*>(&to), own, sizeof own);
            to.x0 = static_cast<int32_t>(box[0][l]);
            to.y0 = static_cast<int32_t>(box[1][l]);
            to.x1 = static_cast<int32_t>(box[2][l]);
            to.y1 = static_cast<int32_t>(box[3][l]);
        }
    }
}

/// The sum of the slots of a surfel, in their order; false, and zeros, when none was written.
template <class M>
FMGS_HD bool add_slots(const SlotRows<typename M::Scalar>& rows, int64_t i, int64_t size,
                       typename M::Scalar* sum) {
    constexpr int L = M::kLanes;
    bool any = false;
    for (int64_t j = rows.start[i]; j < rows.start[i + 1]; ++j) {
        if (!rows.touched[j]) continue;
        const auto* const slot = rows.slots + j * size;
        for (int64_t c = 0; c < size; c += L)
            M::store(sum + c, any ? M::load(sum + c) + M::load(slot + c) : M::load(slot + c));
        any = true;
    }
    for (int64_t c = 0; !any && c < size; c += L) M::store(sum + c, M::set(0));
    return any;
}

/// Gradients of the pack's surfels, from their sums [count, stride]: centre, tangents, opacity,
/// zero where nothing was written. Those of the intrinsics are added.
template <class M>
FMGS_HD Columns<M, 10> pack_gradients(const SurfelRows<typename M::Scalar>& call,
                                      const Surfel<typename M::Value>& surfel,
                                      const typename M::Scalar* sums, int64_t stride, int64_t count,
                                      typename M::Mask written, typename M::Value* intrinsics) {
    using V = typename M::Value;
    Columns<M, kSums> sum;
    for (int l = 0; l < M::kLanes; ++l) {
        const auto* const from = sums + (l < count ? l : 0) * stride;
        for (int k = 0; k < kSums; ++k) sum.number[k][l] = from[k];
    }
    V of_pack[kSums], own[4] = {};
    for (int k = 0; k < kSums; ++k) of_pack[k] = sum[k];
    Surfel<V> grad;
    project_vjp<M>(surfel, call.intrinsics, 1 / (call.low_pass * call.low_pass), of_pack, grad,
                   own);
    Columns<M, 10> out;
    const auto put = [&](int k, V v) { out.set(k, M::select(written, v, M::set(0))); };
    for (int k = 0; k < 3; ++k) {
        put(k, grad.p[k]);
        put(3 + 2 * k, grad.a[k]);
        put(4 + 2 * k, grad.b[k]);
    }
    put(9, grad.opacity);
    for (int k = 0; k < 4; ++k) intrinsics[k] += M::select(written, own[k], M::set(0));
    return out;
}

template <class M>
void gather_rows(const SurfelRows<typename M::Scalar>& surfels,
                 const SlotRows<typename M::Scalar>& rows, int64_t first, int64_t last,
                 typename M::Scalar* intrinsics) {
    using T = typename M::Scalar;
    constexpr int L = M::kLanes;
    const int64_t size = rows.routes * kSums + rows.channels, stride = round_up(size, L);
    T* const sums = rows.workspace;  // [L, stride]
    typename M::Value grad_intrinsics[4] = {};
    for (int64_t i = first; i < last; i += L) {
        const int64_t count = last - i < L ? last - i : L;
        Columns<M, 1> any{};
        for (int64_t l = 0; l < count; ++l)
            any.number[0][l] = add_slots<M>(rows, i + l, size, sums + l * stride);
        const auto written = M::less(M::set(0), any[0]);
        const auto surfel = load_surfels<M>(surfels, i, count);
        for (int64_t r = 0; r < rows.routes; ++r) {
            Columns<M, 10> out{};
            if (M::bits(written) != 0)
                out = pack_gradients<M>(surfels, surfel, sums + r * kSums, stride, count, written,
                                        grad_intrinsics);
            for (int l = 0; l < count; ++l) {
                const int64_t row = r * rows.n + i + l;
                for (int k = 0; k < 3; ++k) rows.center[3 * row + k] = out.number[k][l];
                for (int k = 0; k < 6; ++k) rows.tangents[6 * row + k] = out.number[3 + k][l];
                rows.opacity[row] = out.number[9][l];
            }
        }
        for (int64_t l = 0; rows.features && l < count; ++l) {
            for (int64_t c = 0; c < rows.channels; ++c)
                rows.features[(i + l) * rows.channels + rows.channel[c]] =
                    sums[l * stride + rows.routes * kSums + c];
        }
    }
    T total[4];
    M::template sums<4>(grad_intrinsics, total);
    for (int k = 0; k < 4; ++k) intrinsics[k] += total[k];
}

}  // namespace

RowFunctions<float> rows_float() {
    using M = Simd<float, FMGS_LANES>;
    return {&project_rows<M>, &gather_rows<M>};
}
RowFunctions<double> rows_double() {
    using M = Simd<double, FMGS_LANES == 16 ? 8 : 4>;
    return {&project_rows<M>, &gather_rows<M>};
}

}  // namespace fmgs::raster::FMGS_SET
