#pragma once
/// The arithmetic of one surfel and of one surfel–pixel sample, shared by every backend and by the
/// tests. Host and device, C++17, no torch. Templates over a policy M that names its values
/// (scalars or SIMD packs), integers beside them (Lanes), what comparing them gives (Mask), and the
/// functions of them.
///
/// A surfel with camera-frame centre p and scaled tangents a, b maps (u,v) to T·(u,v,1)ᵀ, T =
/// K·[a|b|p]. The ray of a pixel at (dx,dy) from the projected centre c hits its plane at (u,v) =
/// (q0,q1)/q2, q affine in (dx,dy) (both identities follow from the adjugate of T; the signs are
/// chosen such that q2 > 0 in front of the camera):
///   ρ = min(u²+v², |d|²/σ²)    exponent of the Gaussian; the second is the low-pass of σ pixels; a
///                              tie goes to the first
///   α = min(0.99, o·exp(-ρ/2)) below 1/255 the sample is skipped
///   z = p_z + u′a_z + v′b_z    depth, with (u′,v′) = (u,v)·ρ/(u²+v²): the hit itself, and a point
///                              between it and the centre where the low-pass draws the pixel, which
///                              it joins without a jump and reaches as the surfel turns edge-on
/// |(u′,v′)|² ≤ ρ ≤ 2 ln(255 o), at most 3.33² for o ≤ 1. A surfel is culled unless all its points
/// within 3.33 σ (or within its support, if larger) lie in front of `near`. Hence z > near for
/// every sample, and no plane behind the camera is ever drawn: no per-pixel depth test is needed.
#include <fmgs/core/host_device.h>

#include <cmath>
#include <cstdint>
#include <cstring>

namespace fmgs::raster {

constexpr double kAlphaMax = 0.99;         ///< α is clamped here; beyond, its gradient is zero
constexpr double kAlphaMin = 1.0 / 255.0;  ///< fainter samples are skipped
/// a sample that would take the transmittance below ends its pixel, undrawn
constexpr double kTransmittanceMin = 1e-4;
constexpr double kReach = 3.33;  ///< σ, at least √(2 ln 255): the support of an opaque surfel

/// Scalar policy, exact functions.
template <class T>
struct ScalarMath {
    using Scalar = T;
    using Value = T;
    using Lanes = int32_t;
    using Mask = bool;
    static FMGS_HD T set(T x) { return x; }
    static FMGS_HD int32_t set_lanes(int32_t x) { return x; }
    static FMGS_HD int32_t to_lanes(T x) { return static_cast<int32_t>(x); }
    static FMGS_HD bool less(T a, T b) { return a < b; }
    static FMGS_HD bool at_most(T a, T b) { return a <= b; }
    static FMGS_HD T select(bool m, T a, T b) { return m ? a : b; }
    static FMGS_HD int32_t select(bool m, int32_t a, int32_t b) { return m ? a : b; }
    static FMGS_HD T min(T a, T b) { return b < a ? b : a; }
    static FMGS_HD T max(T a, T b) { return a < b ? b : a; }
    static FMGS_HD T gauss(T rho) { return std::exp(T(-0.5) * rho); }
    static FMGS_HD T log(T a) { return std::log(a); }
    static FMGS_HD T from_lanes(int32_t x) { return static_cast<T>(x); }
    static FMGS_HD int32_t bits_of(float a) {
        int32_t bits;
        memcpy(&bits, &a, sizeof bits);
        return bits;
    }
    static FMGS_HD float of_bits(int32_t bits) {
        float a;
        memcpy(&a, &bits, sizeof a);
        return a;
    }
    static FMGS_HD T sqrt(T a) { return std::sqrt(a); }
    static FMGS_HD T floor(T a) { return std::floor(a); }
    static FMGS_HD T ceil(T a) { return std::ceil(a); }
};

/// One surfel in camera frame, or a pack of them.
template <class V>
struct Surfel {
    V p[3];     ///< centre, metres
    V a[3];     ///< first scaled tangent, metres
    V b[3];     ///< second
    V opacity;  ///< o
};

/// What all samples of a surfel share.
template <class V, class I = int32_t>
struct Projected {
    V c0, c1;          ///< projected centre, pixels
    V f0, g0, f1, g1;  ///< q0 = f0·dx + g0·dy, q1 = f1·dx + g1·dy
    V d, f2, g2;       ///< q2 = d + f2·dx + g2·dy
    V z, w0, w1;       ///< depths of centre and tangents: p_z, a_z, b_z
    V opacity;
    V low;  ///< 1/σ² of the low-pass, 1/px²
    I x0, y0, x1,
        y1;  ///< pixels of the support box, x0 ≤ x ≤ x1; empty (x1 < x0) for a culled surfel
};

/// What one sample is made of. Value is a scalar or a SIMD pack.
template <class M>
struct Sample {
    /// 1/q2, or 0 where the ray does not meet the plane in front of the camera
    typename M::Value r;
    typename M::Value q0, q1, q2;
    typename M::Value rho3;   ///< u²+v²
    typename M::Value rho2;   ///< |d|²/σ²
    typename M::Value gauss;  ///< o·exp(-ρ/2), not clamped
    typename M::Value alpha;
    typename M::Mask is_3d;  ///< ρ = u²+v², not the low-pass
};

/// Where the depth is taken.
template <class M>
struct Hit {
    typename M::Value u, v, z;  ///< u′, v′ and the depth
    typename M::Value k;        ///< (u′,v′) = k·(q0,q1)
    typename M::Value over;     ///< 1/(q0²+q1²)
};

/// All of a sample but gauss and alpha; rho: its exponent.
template <class M, class T>
FMGS_HD Sample<M> sample_ray(const Projected<T>& s, typename M::Value dx, typename M::Value dy,
                             typename M::Value& rho) {
    using V = typename M::Value;
    Sample<M> sample;
    sample.q0 = s.g0 * dy + s.f0 * dx;
    sample.q1 = s.g1 * dy + s.f1 * dx;
    sample.q2 = s.g2 * dy + (s.f2 * dx + s.d);
    const auto front = M::less(M::set(0), sample.q2);
    sample.r = M::select(front, T(1) / M::select(front, sample.q2, M::set(1)), M::set(0));
    const V u = sample.q0 * sample.r, v = sample.q1 * sample.r;
    sample.rho3 = u * u + v * v;
    sample.rho2 = s.low * (dy * dy + dx * dx);
    sample.is_3d = front & M::at_most(sample.rho3, sample.rho2);
    rho = M::select(sample.is_3d, sample.rho3, sample.rho2);
    return sample;
}

template <class M, class T>
FMGS_HD Sample<M> sample_alpha(const Projected<T>& s, typename M::Value dx, typename M::Value dy) {
    typename M::Value rho;
    Sample<M> sample = sample_ray<M>(s, dx, dy, rho);
    sample.gauss = s.opacity * M::gauss(rho);
    sample.alpha = M::min(M::set(T(kAlphaMax)), sample.gauss);
    return sample;
}

template <class M, class T>
FMGS_HD Hit<M> sample_hit(const Projected<T>& s, const Sample<M>& sample) {
    Hit<M> hit;
    hit.over = T(1) / M::max(sample.q0 * sample.q0 + sample.q1 * sample.q1, M::set(T(1e-30)));
    hit.k = M::select(sample.is_3d, sample.r, sample.rho2 * sample.q2 * hit.over);
    hit.u = sample.q0 * hit.k;
    hit.v = sample.q1 * hit.k;
    hit.z = s.z + hit.u * s.w0 + hit.v * s.w1;
    return hit;
}

/// Sums over the samples of a surfel from which its gradient follows; q0, q1, q2 stand for the
/// gradient to them.
enum Sum {
    kQ0,
    kQ0x,
    kQ0y,
    kQ1,
    kQ1x,
    kQ1y,
    kQ2,
    kQ2x,
    kQ2y,
    kLowX,
    kLowY,
    kZ,
    kZu,
    kZv,
    kO,
    kSums
};

/// dL/d of what a sample is made of; z: of the depth, gauss: times gauss.
template <class M>
struct SampleGradient {
    typename M::Value q0, q1, q2, low, z, gauss;
};

/// grad_alpha: dL/dα, gated to 0 where α is clamped; grad_z: dL/dz of this sample.
template <class M, class T>
FMGS_HD SampleGradient<M> sample_vjp(const Projected<T>& s, const Sample<M>& sample,
                                     const Hit<M>& hit, typename M::Value grad_alpha,
                                     typename M::Value grad_z, bool has_depth) {
    using V = typename M::Value;
    const V zero = M::set(0);
    SampleGradient<M> grad;
    grad.gauss = grad_alpha * sample.gauss;
    grad.z = grad_z;
    const V grad_rho = T(-0.5) * grad.gauss;
    const V grad_3d = M::select(sample.is_3d, grad_rho, zero);
    grad.low = grad_rho - grad_3d;
    const V r2 = T(2) * grad_3d * sample.r;
    grad.q0 = r2 * sample.q0 * sample.r;
    grad.q1 = r2 * sample.q1 * sample.r;
    grad.q2 = -r2 * sample.rho3;
    if (has_depth) {
        const V gu = grad_z * s.w0, gv = grad_z * s.w1;
        const V along = gu * sample.q0 + gv * sample.q1;  // dL/dk
        const V low = M::select(sample.is_3d, zero, along * hit.over);
        grad.q0 += hit.k * (gu - T(2) * low * sample.q0);
        grad.q1 += hit.k * (gv - T(2) * low * sample.q1);
        grad.q2 += M::select(sample.is_3d, -along * sample.r * sample.r, low * sample.rho2);
        grad.low += low * sample.q2;
    }
    return grad;
}

/// Adds one sample's share to the sums of its surfel.
template <class M>
FMGS_HD void add_pair(const SampleGradient<M>& grad, const Hit<M>& hit, typename M::Value dx,
                      typename M::Value dy, bool has_depth, typename M::Value* sums) {
    sums[kO] += grad.gauss;
    if (has_depth) {
        sums[kZ] += grad.z;
        sums[kZu] += grad.z * hit.u;
        sums[kZv] += grad.z * hit.v;
    }
    sums[kLowX] += grad.low * dx;
    sums[kLowY] += grad.low * dy;
    sums[kQ0] += grad.q0;
    sums[kQ0x] += grad.q0 * dx;
    sums[kQ0y] += grad.q0 * dy;
    sums[kQ1] += grad.q1;
    sums[kQ1x] += grad.q1 * dx;
    sums[kQ1y] += grad.q1 * dy;
    sums[kQ2] += grad.q2;
    sums[kQ2x] += grad.q2 * dx;
    sums[kQ2y] += grad.q2 * dy;
}

/// ln x, x ≥ 1. Of floats the same bits for scalars and packs, and so for the boxes of surfels.
template <class M>
FMGS_HD typename M::Value log_of(typename M::Value x) {
    using V = typename M::Value;
    if constexpr (sizeof(typename M::Scalar) == 8) {
        return M::log(x);
    } else {
        // x = 2ⁿ·m with m in [√½, √2); ln m = 2 atanh((m - 1)/(m + 1)), within 2e-9.
        const auto bits = M::bits_of(x), n = (bits - 0x3f3504f3) >> 23;
        const V m = M::of_bits(bits - n * (1 << 23)), s = (m - 1.0f) / (m + 1.0f), s2 = s * s;
        const V odd = ((s2 * (1.0f / 9) + 1.0f / 7) * s2 + 1.0f / 5) * s2 + 1.0f / 3;
        return M::from_lanes(n) * 0.693147181f + (s + s) * (s2 * odd + 1.0f);
    }
}

/// Pixels whose centre i + ½ lies in [lo, hi], clamped to [0, count): false when there is none.
template <class M>
FMGS_HD typename M::Mask pixel_range(typename M::Value lo, typename M::Value hi, int64_t count,
                                     typename M::Lanes& first, typename M::Lanes& last) {
    using T = typename M::Scalar;
    const auto zero = M::set(0), n = M::set(static_cast<T>(count - 1));
    lo = M::ceil(lo - T(0.5));
    hi = M::floor(hi - T(0.5));
    first = M::to_lanes(M::min(n, M::max(zero, lo)));
    last = M::to_lanes(M::min(n, M::max(zero, hi)));
    return M::at_most(lo, n) & M::at_most(zero, hi) & M::at_most(lo, hi);
}

/// Projects a surfel; low_pass: σ of the low-pass, pixels; false when it is culled: not finite,
/// fainter than 1/255, not wholly in front of `near`, or off screen. intrinsics: fx fy cx cy. The
/// box is that of the contour ρ = 2 ln(255 o), united with the low-pass disc: an exact support, so
/// that the image does not depend on the tiles.
template <class M>
FMGS_HD typename M::Mask project(const Surfel<typename M::Value>& s,
                                 const typename M::Scalar* intrinsics, typename M::Scalar near,
                                 typename M::Scalar low_pass, int64_t width, int64_t height,
                                 Projected<typename M::Value, typename M::Lanes>& out) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    const T fx = intrinsics[0], fy = intrinsics[1];
    const V inverse = T(1) / s.p[2], X = s.p[0] * inverse, Y = s.p[1] * inverse;
    const V a = fx * (s.a[0] - X * s.a[2]), b = fx * (s.b[0] - X * s.b[2]);
    const V e = fy * (s.a[1] - Y * s.a[2]), f = fy * (s.b[1] - Y * s.b[2]);
    const V det = a * f - b * e, zero = M::set(0);
    const V sign = M::select(M::less(det, zero), M::set(-1), M::set(1)), z = sign * s.p[2];
    out.c0 = fx * X + intrinsics[2];
    out.c1 = fy * Y + intrinsics[3];
    out.z = s.p[2];
    out.w0 = s.a[2];
    out.w1 = s.b[2];
    out.f0 = z * f;
    out.g0 = -z * b;
    out.f1 = -z * e;
    out.g1 = z * a;
    out.d = sign * det;
    out.f2 = sign * (e * out.w1 - f * out.w0);
    out.g2 = sign * (b * out.w0 - a * out.w1);
    out.opacity = s.opacity;
    out.low = M::set(1 / (low_pass * low_pass));

    const V seen = s.opacity * T(255);  // at least 1
    const V rho_max = T(2) * log_of<M>(M::max(M::set(1), seen)), low = low_pass * M::sqrt(rho_max);
    const V slope2 = out.w0 * out.w0 + out.w1 * out.w1;
    const V nearest = out.z - M::sqrt(M::max(M::set(T(kReach * kReach)), rho_max) * slope2);
    // negative: the contour is in front of the camera
    const V t = rho_max / (rho_max * slope2 - out.z * out.z);
    const V ox = t * (a * out.w0 + b * out.w1), oy = t * (e * out.w0 + f * out.w1);
    const V hx = M::sqrt(M::max(zero, ox * ox - t * (a * a + b * b))),
            hy = M::sqrt(M::max(zero, oy * oy - t * (e * e + f * f)));
    // One NaN or Inf anywhere ends here as NaN. The fourth powers may overflow in q where the parts
    // do not: squared too.
    const V q = out.f0 * out.f0 + out.g0 * out.g0 + out.f1 * out.f1 + out.g1 * out.g1;
    const V check =
        (q + out.d + out.f2 + out.g2 + out.c0 + out.c1 + hx + hy + ox + oy + s.opacity) * T(0);
    // Rounding must not make the box smaller than the support; the sample itself decides about the
    // last pixel.
    const V mx = T(0.01) + T(1e-5) * hx, my = T(0.01) + T(1e-5) * hy;
    const typename M::Mask visible =
        M::at_most(M::set(1), seen) & M::less(M::set(near), out.z) &
        M::less(M::set(near), nearest) & M::at_most(check, zero) &
        pixel_range<M>(out.c0 + M::min(-low, ox - hx) - mx, out.c0 + M::max(low, ox + hx) + mx,
                       width, out.x0, out.x1) &
        pixel_range<M>(out.c1 + M::min(-low, oy - hy) - my, out.c1 + M::max(low, oy + hy) + my,
                       height, out.y0, out.y1);
    out.x0 = M::select(visible, out.x0, M::set_lanes(0));
    out.y0 = M::select(visible, out.y0, M::set_lanes(0));
    out.x1 = M::select(visible, out.x1, M::set_lanes(-1));
    out.y1 = M::select(visible, out.y1, M::set_lanes(-1));
    return visible;
}

/// Gradient of a surfel, and of the intrinsics (added), from the sums over its samples; low: 1/σ²
/// of the low-pass.
template <class M>
FMGS_HD void project_vjp(const Surfel<typename M::Value>& s, const typename M::Scalar* intrinsics,
                         typename M::Scalar low, const typename M::Value* sums,
                         Surfel<typename M::Value>& grad, typename M::Value* grad_intrinsics) {
    using T = typename M::Scalar;
    using V = typename M::Value;
    const T fx = intrinsics[0], fy = intrinsics[1];
    const V z = s.p[2], w0 = s.a[2], w1 = s.b[2];
    const V inverse = T(1) / z, X = s.p[0] * inverse, Y = s.p[1] * inverse;
    const V ax = s.a[0] - X * w0, bx = s.b[0] - X * w1, ay = s.a[1] - Y * w0, by = s.b[1] - Y * w1;
    const V a = fx * ax, b = fx * bx, e = fy * ay, f = fy * by;
    const V sign = M::select(M::less(a * f - b * e, M::set(0)), M::set(-1), M::set(1));
    const V gc0 = sign * (z * (e * sums[kQ1] - f * sums[kQ0]) + (f * w0 - e * w1) * sums[kQ2]) -
                  T(2) * low * sums[kLowX];
    const V gc1 = sign * (z * (b * sums[kQ0] - a * sums[kQ1]) + (a * w1 - b * w0) * sums[kQ2]) -
                  T(2) * low * sums[kLowY];
    const V ga = sign * (z * sums[kQ1y] - w1 * sums[kQ2y] + f * sums[kQ2]);
    const V gb = sign * (w0 * sums[kQ2y] - z * sums[kQ0y] - e * sums[kQ2]);
    const V ge = sign * (w1 * sums[kQ2x] - z * sums[kQ1x] - b * sums[kQ2]);
    const V gf = sign * (z * sums[kQ0x] - w0 * sums[kQ2x] + a * sums[kQ2]);
    const V gw0 = sums[kZu] + sign * (b * sums[kQ2y] - f * sums[kQ2x]);
    const V gw1 = sums[kZv] + sign * (e * sums[kQ2x] - a * sums[kQ2y]);
    const V gz =
        sums[kZ] + sign * (f * sums[kQ0x] - b * sums[kQ0y] - e * sums[kQ1x] + a * sums[kQ1y]);
    grad.a[0] = fx * ga;
    grad.a[1] = fy * ge;
    grad.a[2] = gw0 - fx * X * ga - fy * Y * ge;
    grad.b[0] = fx * gb;
    grad.b[1] = fy * gf;
    grad.b[2] = gw1 - fx * X * gb - fy * Y * gf;
    const V gX = fx * (gc0 - w0 * ga - w1 * gb), gY = fy * (gc1 - w0 * ge - w1 * gf);
    grad.p[0] = gX * inverse;
    grad.p[1] = gY * inverse;
    grad.p[2] = gz - (gX * X + gY * Y) * inverse;
    grad.opacity = sums[kO] / s.opacity;
    grad_intrinsics[0] += X * gc0 + ga * ax + gb * bx;
    grad_intrinsics[1] += Y * gc1 + ge * ay + gf * by;
    grad_intrinsics[2] += gc0;
    grad_intrinsics[3] += gc1;
}

}  // namespace fmgs::raster
