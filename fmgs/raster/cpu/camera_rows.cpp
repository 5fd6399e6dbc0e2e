#include <fmgs/raster/cpu/camera_rows.h>

#include <fmgs/core/operators.h>
#include <fmgs/core/rows.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

namespace fmgs::detail {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The camera as numbers.
template <class T>
struct Lens {
    Nine<T> rotation;
    Three<T> translation;
    T focal[2], near, low;  // low: σ² of the low-pass, pixels²
    bool mip;

    Lens(const variable_list& camera, double nearest, double low_pass, bool filtered)
        : rotation(read_matrix(camera[0].const_data_ptr<T>())),
          translation(read(camera[1].const_data_ptr<T>())),
          focal{camera[2].const_data_ptr<T>()[0], camera[2].const_data_ptr<T>()[1]},
          near(static_cast<T>(nearest)),
          low(static_cast<T>(low_pass * low_pass)),
          mip(filtered) {}
};

/// The share of its opacity that a surfel keeps: kept_share of render.cpp, and its gradient.
template <class T>
struct Kept {
    // J, a row for x and one for y, of the tangents a and b; area: of its determinant, squared
    T z, xa, xb, ya, yb, determinant, under, share;

    Kept(const Lens<T>& lens, Three<T> c, Three<T> a, Three<T> b) : z(std::max(c.z, lens.near)) {
        const T fx = lens.focal[0] / z, fy = lens.focal[1] / z;
        xa = fx * (a.x - c.x / z * a.z);
        xb = fx * (b.x - c.x / z * b.z);
        ya = fy * (a.y - c.y / z * a.z);
        yb = fy * (b.y - c.y / z * b.z);
        determinant = xa * yb - xb * ya;
        const T area = determinant * determinant, spread = xa * xa + xb * xb + ya * ya + yb * yb;
        under = area + lens.low * spread + lens.low * lens.low;
        share = std::sqrt((area + T(1e-12)) / under);
    }

    /// Adds dL/d(c, a, b) for dL/dshare = g.
    void add_gradient(const Lens<T>& lens, T g, Three<T> c, Three<T> a, Three<T> b, Three<T>& to_c,
                      Three<T>& to_a, Three<T>& to_b) const {
        const T of_area = g * (1 - share * share) / (2 * share * under),
                of_spread = -g * share * lens.low / (2 * under),
                of_determinant = 2 * determinant * of_area;
        const T gxa = of_determinant * yb + 2 * of_spread * xa,
                gxb = -of_determinant * ya + 2 * of_spread * xb,
                gya = -of_determinant * xb + 2 * of_spread * ya,
                gyb = of_determinant * xa + 2 * of_spread * yb;
        const T fx = lens.focal[0] / z, fy = lens.focal[1] / z;
        to_a = to_a + Three<T>{fx * gxa, fy * gya, -(fx * c.x * gxa + fy * c.y * gya) / z};
        to_b = to_b + Three<T>{fx * gxb, fy * gyb, -(fx * c.x * gxb + fy * c.y * gyb) / z};
        const T along_x = a.z * gxa + b.z * gxb, along_y = a.z * gya + b.z * gyb;
        // of x = f/z (t - c/z t_z): what its two z do
        const T of_z = -(xa * gxa + xb * gxb + ya * gya + yb * gyb) / z +
                       (fx * c.x * along_x + fy * c.y * along_y) / (z * z);
        to_c = to_c + Three<T>{-fx / z * along_x, -fy / z * along_y, c.z >= lens.near ? of_z : 0};
    }
};

class CameraRowsFunction : public torch::autograd::Function<CameraRowsFunction> {
  public:
    static variable_list forward(AutogradContext* context, const Tensor& center,
                                 const Tensor& tangents, const Tensor& opacity,
                                 const Tensor& rotation, const Tensor& translation,
                                 const Tensor& intrinsics, double near, double low_pass, bool mip) {
        const at::AutoDispatchBelowADInplaceOrView below;
        const variable_list in{center.contiguous(),      tangents.contiguous(),
                               opacity.contiguous(),     rotation.contiguous(),
                               translation.contiguous(), intrinsics.contiguous()};
        const auto c_out = torch::empty_like(in[0]), t_out = torch::empty_like(in[1]),
                   o_out = torch::empty_like(in[2]);
        AT_DISPATCH_FLOATING_TYPES(center.scalar_type(), "camera_rows", [&] {
            using T = scalar_t;
            const Rows<T> p(in[0]), t(in[1]), o(in[2]);
            const Lens<T> lens({in.begin() + 3, in.end()}, near, low_pass, mip);
            T *to_c = c_out.mutable_data_ptr<T>(), *to_t = t_out.mutable_data_ptr<T>(),
              *to_o = o_out.mutable_data_ptr<T>();
            for_rows(center.size(0), [&](int64_t n) {
                const auto c = lens.rotation * read(p[n]) + lens.translation,
                           a = lens.rotation * read(t[n], 2), b = lens.rotation * read(t[n] + 1, 2);
                write(to_c + 3 * n, c);
                write(to_t + 6 * n, a, 2);
                write(to_t + 6 * n + 1, b, 2);
                to_o[n] = lens.mip ? o[n][0] * Kept<T>(lens, c, a, b).share : o[n][0];
            });
        });
        variable_list saved(in);
        saved.push_back(c_out);
        saved.push_back(t_out);
        context->save_for_backward(std::move(saved));
        context->saved_data["lens"] = std::vector<double>{near, low_pass, mip ? 1. : 0.};
        context->set_materialize_grads(false);
        const bool moves = center.requires_grad(), turns = tangents.requires_grad();
        variable_list still;
        if (!moves) still.push_back(c_out);
        if (!turns) still.push_back(t_out);
        if (!opacity.requires_grad() && !(mip && (moves || turns))) still.push_back(o_out);
        context->mark_non_differentiable(still);
        return {c_out, t_out, o_out};
    }

    static variable_list backward(AutogradContext* context, variable_list grads) {
        const auto saved = context->get_saved_variables();
        const at::AutoDispatchBelowADInplaceOrView below;
        for (auto& g : grads) g = packed(g);
        variable_list out(9);
        for (size_t k = 0; k < 3; ++k)
            if (context->needs_input_grad(k)) out[k] = torch::empty_like(saved[k]);
        const auto options = context->saved_data["lens"].toDoubleVector();
        AT_DISPATCH_FLOATING_TYPES(saved[0].scalar_type(), "camera_rows_backward", [&] {
            const Lens<scalar_t> lens({saved.begin() + 3, saved.begin() + 6}, options[0],
                                      options[1], options[2] != 0);
            backward_of<scalar_t>(lens, saved, grads, out);
        });
        return once_differentiable("camera_rows", saved, out);
    }

  private:
    template <class T>
    static void backward_of(const Lens<T>& lens, const variable_list& saved,
                            const variable_list& grads, const variable_list& out) {
        const Rows<T> o(saved[2]), c_cam(saved[6]), t_cam(saved[7]);
        const Rows<T> g_center(grads[0]), g_tangents(grads[1]), g_opacity(grads[2]);
        T* to[3];
        for (size_t k = 0; k < 3; ++k)
            to[k] = out[k].defined() ? out[k].template mutable_data_ptr<T>() : nullptr;
        for_rows(saved[0].size(0), [&](int64_t n) {
            const T* const g = g_tangents[n];
            auto to_c = read(g_center[n]), to_a = read(g, 2), to_b = read(g ? g + 1 : nullptr, 2);
            T to_o = g_opacity[n] ? g_opacity[n][0] : 0;
            if (lens.mip && to_o != 0) {
                const auto c = read(c_cam[n]), a = read(t_cam[n], 2), b = read(t_cam[n] + 1, 2);
                const Kept<T> kept(lens, c, a, b);
                kept.add_gradient(lens, to_o * o[n][0], c, a, b, to_c, to_a, to_b);
                to_o *= kept.share;
            }
            if (to[0]) write(to[0] + 3 * n, lens.rotation.t(to_c));
            if (to[1]) {
                write(to[1] + 6 * n, lens.rotation.t(to_a), 2);
                write(to[1] + 6 * n + 1, lens.rotation.t(to_b), 2);
            }
            if (to[2]) to[2][n] = to_o;
        });
    }
};

}  // namespace

CameraRows camera_rows(const Tensor& center, const Tensor& tangents, const Tensor& opacity,
                       const Camera& camera, bool mip) {
    const auto out =
        CameraRowsFunction::apply(center, tangents, opacity, camera.rotation, camera.translation,
                                  camera.intrinsics, camera.near, camera.low_pass, mip);
    return {out[0], out[1], out[2]};
}

}  // namespace fmgs::detail
