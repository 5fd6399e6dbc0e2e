#include <fmgs/core/linear_surfels.h>

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace fmgs::detail {

namespace {

constexpr int64_t kBlock = 64;  // surfels whose attributes stay in the nearest cache
constexpr int64_t kMostColumns = 11;

template <class T>
using Vector = std::array<T, 3>;

template <class T>
Vector<T> cross(const Vector<T>& a, const Vector<T>& b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

/// exp([r]×) v (Rodrigues).
template <class T>
Vector<T> turned(const T* r, const Vector<T>& v) {
    const T t = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
    T a, b;  // sin θ / θ, (1 - cos θ) / θ²
    if (t < T(1e-3)) {
        a = 1 - t / 6 * (1 - t / 20 * (1 - t / 42));
        b = T(0.5) - t / 24 * (1 - t / 30 * (1 - t / 56));
    } else {
        const T angle = std::sqrt(t), half = std::sin(angle / 2);
        a = std::sin(angle) / angle;
        b = 2 * half * half / t;
    }
    const Vector<T> axis{r[0], r[1], r[2]}, once = cross(axis, v), twice = cross(axis, once);
    return {v[0] + a * once[0] + b * twice[0], v[1] + a * once[1] + b * twice[1],
            v[2] + a * once[2] + b * twice[2]};
}

/// The first three rows of a 4×4 matrix applied to (v, w).
template <class T>
Vector<T> applied(const T* m, const Vector<T>& v, T w) {
    return {m[0] * v[0] + m[1] * v[1] + m[2] * v[2] + m[3] * w,
            m[4] * v[0] + m[5] * v[1] + m[6] * v[2] + m[7] * w,
            m[8] * v[0] + m[9] * v[1] + m[10] * v[2] + m[11] * w};
}

/// Pointers to what is read and written for one surfel.
template <class T>
struct One {
    const T *center, *frame, *weight, *bones, *row;
    const int64_t* bone;
    int64_t axes;
    T *out_center, *tangents, *normal, *transform, *color;
};

template <class T>
void pose(const One<T>& s) {
    T* m = s.transform;  // (10)
    std::fill(m, m + 16, T(0));
    for (int64_t k = 0; k < 4; ++k) {
        const T* bone = s.bones + 16 * s.bone[k];
        for (int64_t i = 0; i < 16; ++i) m[i] += s.weight[k] * bone[i];
    }
    const T *f = s.frame, *scale = s.row + s.axes, *turn = scale + 2, *color = turn + 3;
    Vector<T> at{s.center[0], s.center[1], s.center[2]};
    for (size_t i = 0; i < 3; ++i)  // (4)
        at[i] += s.axes == 1 ? s.row[0] * f[3 * i + 2] : s.row[i];
    at = applied(m, at, T(1));  // (11)
    std::array<Vector<T>, 2> axis;
    for (size_t k = 0; k < 2; ++k) {
        const auto e = turned(turn, Vector<T>{T(k == 0), T(k == 1), T(0)});  // (6)
        const Vector<T> t{f[0] * e[0] + f[1] * e[1] + f[2] * e[2],
                          f[3] * e[0] + f[4] * e[1] + f[5] * e[2],
                          f[6] * e[0] + f[7] * e[1] + f[8] * e[2]};
        axis[k] = applied(m, t, T(0));  // (12)
        const T size = std::exp(scale[k]);
        for (size_t i = 0; i < 3; ++i) s.tangents[2 * i + k] = size * axis[k][i];
    }
    const auto n = cross(axis[0], axis[1]);
    const T length = std::sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2] + T(1e-24));
    for (size_t i = 0; i < 3; ++i) {
        s.out_center[i] = at[i];
        s.normal[i] = n[i] / length;
        s.color[i] = std::clamp(color[i], T(0), T(1));
    }
}

template <class T>
void pose_all(const LinearSurfels& s, const torch::Tensor& coefficients, const torch::Tensor& bones,
              const PosedSurfels& out) {
    const int64_t N = s.mean.size(0), width = s.mean.size(1), K = s.components.size(0);
    const T *center = s.center.const_data_ptr<T>(), *frame = s.frame.const_data_ptr<T>(),
            *weight = s.bone_weight.const_data_ptr<T>(), *mean = s.mean.const_data_ptr<T>(),
            *component = s.components.const_data_ptr<T>(), *c = coefficients.const_data_ptr<T>(),
            *bone = bones.const_data_ptr<T>();
    const int64_t* index = s.bone_index.const_data_ptr<int64_t>();
    T *to = out.center.data_ptr<T>(), *tangents = out.tangents.data_ptr<T>(),
      *normal = out.normal.data_ptr<T>(), *transform = out.transform.data_ptr<T>(),
      *color = out.features.at("color").data_ptr<T>();
    at::parallel_for(0, (N + kBlock - 1) / kBlock, 8, [&](int64_t first, int64_t last) {
        std::array<T, kBlock * kMostColumns> rows;
        for (int64_t begin = kBlock * first; begin < std::min(N, kBlock * last); begin += kBlock) {
            const int64_t end = std::min(N, begin + kBlock), numbers = (end - begin) * width;
            std::copy_n(mean + begin * width, numbers, rows.begin());
            for (int64_t k = 0; k < K; ++k) {
                const T* from = component + (k * N + begin) * width;
                for (int64_t i = 0; i < numbers; ++i)
                    rows[static_cast<size_t>(i)] += c[k] * from[i];
            }
            for (int64_t i = begin; i < end; ++i) {
                pose(One<T>{center + 3 * i, frame + 9 * i, weight + 4 * i, bone,
                            rows.data() + (i - begin) * width, index + 4 * i, width - 8, to + 3 * i,
                            tangents + 6 * i, normal + 3 * i, transform + 16 * i, color + 3 * i});
            }
        }
    });
}

}  // namespace

PosedSurfels pose_linear_surfels(const LinearSurfels& surfels, const torch::Tensor& coefficients,
                                 const torch::Tensor& bones) {
    const int64_t N = surfels.mean.size(0);
    const auto empty = [&](torch::IntArrayRef shape) {
        return torch::empty(shape, surfels.mean.options());
    };
    PosedSurfels out{empty({N, 3}), empty({N, 3, 2}), empty({N, 3}), {}, {}, empty({N, 4, 4})};
    out.features.set("color", empty({N, 3}));
    AT_DISPATCH_FLOATING_TYPES(surfels.mean.scalar_type(), "pose_linear_surfels", [&] {
        pose_all<scalar_t>(surfels, coefficients.contiguous(), bones.contiguous(), out);
    });
    return out;
}

}  // namespace fmgs::detail
