#include <fmgs/core/surfel_rows.h>

#include <fmgs/core/operators.h>
#include <fmgs/core/rows.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

namespace fmgs::detail {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// exp([r]×) = (1 - bq) I + a [r]× + b r rᵀ, q = |r|², a = sin θ/θ, b = (1 - cos θ)/q, and what a
/// and b change by with q. As in exp_map (core/rotation.h) small angles take the series.
template <class T>
struct Turn {
    T q, a, b, da, db;

    explicit Turn(Three<T> r) : q(dot(r, r)) {
        if (q < T(0.02)) {
            a = 1 + q * (T(-1. / 6) + q * (T(1. / 120) + q * (T(-1. / 5040) + q / 362880)));
            b = T(0.5) + q * (T(-1. / 24) + q * (T(1. / 720) + q * (T(-1. / 40320) + q / 3628800)));
            da = T(-1. / 6) + q * (T(1. / 60) + q * (T(-1. / 1680) + q / 90720));
            db = T(-1. / 24) + q * (T(1. / 360) + q * (T(-1. / 13440) + q / 907200));
            return;
        }
        const T angle = std::sqrt(q), half = std::sin(angle / 2) / (angle / 2);
        a = std::sin(angle) / angle;
        b = half * half / 2;  // without the cancellation of 1 - cos θ
        da = (std::cos(angle) - a) / (2 * q);
        db = (a - 2 * b) / (2 * q);
    }
};

class TurnedRows : public torch::autograd::Function<TurnedRows> {
  public:
    static Tensor forward(AutogradContext* context, const Tensor& R, const Tensor& r) {
        const at::AutoDispatchBelowADInplaceOrView below;
        const auto from = R.contiguous(), by = r.contiguous();
        context->save_for_backward({from, by});
        auto out = torch::empty_like(from);
        AT_DISPATCH_FLOATING_TYPES(R.scalar_type(), "turned_rows", [&] {
            using T = scalar_t;
            const Rows<T> matrix(from), turn(by);
            T* to = out.mutable_data_ptr<T>();
            for_rows(R.size(0), [&](int64_t n) {
                const auto v = read(turn[n]);
                const Turn<T> e(v);
                // Every row m of R becomes m exp([r]×); m [r]× = m × r.
                for (int k = 0; k < 3; ++k) {
                    const auto m = read(matrix[n] + 3 * k);
                    write(to + 9 * n + 3 * k,
                          (1 - e.b * e.q) * m + e.a * cross(m, v) + e.b * dot(m, v) * v);
                }
            });
        });
        return out;
    }

    static variable_list backward(AutogradContext* context, variable_list grads) {
        const auto saved = context->get_saved_variables();
        const at::AutoDispatchBelowADInplaceOrView below;
        const auto g = grads[0].contiguous();
        Tensor grad_R, grad_r = torch::empty_like(saved[1]);
        if (context->needs_input_grad(0)) grad_R = torch::empty_like(saved[0]);
        AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "turned_rows_backward", [&] {
            using T = scalar_t;
            const Rows<T> matrix(saved[0]), turn(saved[1]), grad(g);
            T* to_R = grad_R.defined() ? grad_R.mutable_data_ptr<T>() : nullptr;
            T* to_r = grad_r.mutable_data_ptr<T>();
            for_rows(g.size(0), [&](int64_t n) {
                const auto v = read(turn[n]);
                const Turn<T> e(v);
                Three<T> sum{};
                T to_q = 0;
                for (int k = 0; k < 3; ++k) {
                    const auto m = read(matrix[n] + 3 * k), h = read(grad[n] + 3 * k);
                    const T mv = dot(m, v), hv = dot(h, v), mh = dot(m, h);
                    const auto side = cross(h, m);  // h · (m × r) = r · (h × m)
                    sum = sum + e.a * side + e.b * (hv * m + mv * h);
                    to_q += e.da * dot(side, v) + e.db * (mv * hv - e.q * mh) - e.b * mh;
                    if (to_R)
                        write(to_R + 9 * n + 3 * k,
                              (1 - e.b * e.q) * h + e.a * cross(v, h) + e.b * hv * v);
                }
                write(to_r + 3 * n, sum + 2 * to_q * v);
            });
        });
        return once_differentiable("turned_rows", {grads[0], saved[0], saved[1]}, {grad_R, grad_r});
    }
};

class PoseRows : public torch::autograd::Function<PoseRows> {
  public:
    static variable_list forward(AutogradContext* context, const Tensor& position,
                                 const Tensor& rotation, const Tensor& scale,
                                 const Tensor& T_center, const Tensor& T_tangent) {
        const at::AutoDispatchBelowADInplaceOrView below;
        const variable_list in{position.contiguous(), rotation.contiguous(), scale.contiguous(),
                               T_center.contiguous(), T_tangent.contiguous()};
        const int64_t N = position.size(0);
        const auto center = torch::empty({N, 3}, position.options()),
                   tangents = torch::empty({N, 3, 2}, position.options()),
                   normal = torch::empty({N, 3}, position.options());
        AT_DISPATCH_FLOATING_TYPES(position.scalar_type(), "posed_rows", [&] {
            using T = scalar_t;
            const Rows<T> p(in[0]), R(in[1]), s(in[2]), transform(in[3]);
            T *c = center.mutable_data_ptr<T>(), *t = tangents.mutable_data_ptr<T>(),
              *w = normal.mutable_data_ptr<T>();
            for_rows(N, [&](int64_t n) {
                const auto A = read_matrix(transform[n], 4);
                write(c + 3 * n, A * read(p[n]) + read(transform[n] + 3, 4));
                const auto u = A * read(R[n], 3), v = A * read(R[n] + 1, 3), k = cross(u, v);
                write(t + 6 * n, s[n][0] * u, 2);
                write(t + 6 * n + 1, s[n][1] * v, 2);
                write(w + 3 * n, (1 / std::sqrt(dot(k, k) + T(1e-24))) * k);
            });
        });
        context->save_for_backward(in);
        context->set_materialize_grads(false);
        const bool turns = rotation.requires_grad() || T_tangent.requires_grad();
        variable_list still;
        if (!position.requires_grad() && !T_center.requires_grad()) still.push_back(center);
        if (!turns && !scale.requires_grad()) still.push_back(tangents);
        if (!turns) still.push_back(normal);
        context->mark_non_differentiable(still);
        return {center, tangents, normal};
    }

    static variable_list backward(AutogradContext* context, variable_list grads) {
        const auto in = context->get_saved_variables();
        const at::AutoDispatchBelowADInplaceOrView below;
        for (auto& g : grads) g = packed(g);
        variable_list out(in.size());
        for (size_t k = 0; k < out.size(); ++k) {
            const bool of_center = k == 0 || k == 3;
            const bool reached =
                of_center ? grads[0].defined() : grads[1].defined() || grads[2].defined();
            if (reached && context->needs_input_grad(k)) out[k] = torch::empty_like(in[k]);
        }
        AT_DISPATCH_FLOATING_TYPES(in[0].scalar_type(), "posed_rows_backward",
                                   [&] { backward_of<scalar_t>(in, grads, out); });
        return once_differentiable("posed_rows", in, out);
    }

  private:
    template <class T>
    static void backward_of(const variable_list& in, const variable_list& grads,
                            variable_list& out) {
        const Rows<T> p(in[0]), R(in[1]), s(in[2]), transform(in[3]);
        const Rows<T> g_center(grads[0]), g_tangents(grads[1]), g_normal(grads[2]);
        T* to[5];
        for (size_t k = 0; k < 5; ++k)
            to[k] = out[k].defined() ? out[k].template mutable_data_ptr<T>() : nullptr;
        const bool turns = to[1] || to[2] || to[4];
        for_rows(in[0].size(0), [&](int64_t n) {
            const auto A = read_matrix(transform[n], 4);
            const auto g = read(g_center[n]);
            if (to[0]) write(to[0] + 3 * n, A.t(g));
            if (to[3]) write_transform(to[3] + 16 * n, outer(g, read(p[n])), g);
            if (!turns) return;
            const auto r_u = read(R[n], 3), r_v = read(R[n] + 1, 3), u = A * r_u, v = A * r_v;
            const T* const tangents = g_tangents[n];
            const auto g_u = read(tangents, 2), g_v = read(tangents ? tangents + 1 : nullptr, 2);
            if (to[2]) {
                to[2][2 * n] = dot(u, g_u);
                to[2][2 * n + 1] = dot(v, g_v);
            }
            // k = u × v, normal = k/√(k² + ε)
            const auto k = cross(u, v), h = read(g_normal[n]);
            const T over = 1 / std::sqrt(dot(k, k) + T(1e-24));
            const auto g_k = over * (h - over * over * dot(k, h) * k);
            const auto to_u = s[n][0] * g_u + cross(v, g_k), to_v = s[n][1] * g_v + cross(g_k, u);
            if (to[1]) {
                write(to[1] + 9 * n, A.t(to_u), 3);
                write(to[1] + 9 * n + 1, A.t(to_v), 3);
                write(to[1] + 9 * n + 2, Three<T>{}, 3);
            }
            if (to[4]) write_transform(to[4] + 16 * n, sum(outer(to_u, r_u), outer(to_v, r_v)), {});
        });
    }

    template <class T>
    static Nine<T> outer(Three<T> a, Three<T> b) {
        return {{a.x * b, a.y * b, a.z * b}};
    }
    template <class T>
    static Nine<T> sum(Nine<T> a, Nine<T> b) {
        return {{a.row[0] + b.row[0], a.row[1] + b.row[1], a.row[2] + b.row[2]}};
    }
    /// A gradient to a transform [4,4], whose last row no surfel feels.
    template <class T>
    static void write_transform(T* to, Nine<T> matrix, Three<T> translation) {
        for (int k = 0; k < 3; ++k) write(to + 4 * k, matrix.row[k]);
        write(to + 3, translation, 4);
        for (int k = 12; k < 16; ++k) to[k] = 0;
    }
};

}  // namespace

Tensor turned_rows(const Tensor& R, const Tensor& r) { return TurnedRows::apply(R, r); }

PosedRows posed_rows(const Tensor& position, const Tensor& rotation, const Tensor& scale,
                     const Tensor& T_center, const Tensor& T_tangent) {
    const auto out = PoseRows::apply(position, rotation, scale, T_center, T_tangent);
    return {out[0], out[1], out[2]};
}

}  // namespace fmgs::detail
