#include <fmgs/core/rotation.h>

#include <fmgs/core/check.h>
#include <torch/types.h>

namespace fmgs {
namespace {

// Below this θ² the quotients sin θ/θ and (1-cos θ)/θ² are taken from their series: five terms are
// exact to 1e-16 there, and the gradient at 0 is that of a polynomial. (The quotient's own gradient
// loses digits long before θ reaches 0.)
constexpr double kSmallSquare = 0.02;

// c0 + t (c1 + t (c2 + …))
torch::Tensor polynomial(const torch::Tensor& t, std::initializer_list<double> coefficients) {
    auto c = coefficients.end();
    auto value = torch::full_like(t, *--c);
    while (c != coefficients.begin()) value = value * t + *--c;
    return value;
}

// The quaternion (w,x,y,z) of each rotation, w ≥ 0. Of Shepperd's four forms the one with the
// largest pivot is taken, so that nothing is divided by less than 1/2 in magnitude.
torch::Tensor quaternion(const torch::Tensor& R) {
    const auto m = [&](int64_t i, int64_t j) { return R.select(1, i).select(1, j); };
    const auto xx = m(0, 0), yy = m(1, 1), zz = m(2, 2);
    const auto wx = m(2, 1) - m(1, 2), wy = m(0, 2) - m(2, 0), wz = m(1, 0) - m(0, 1);
    const auto xy = m(1, 0) + m(0, 1), xz = m(0, 2) + m(2, 0), yz = m(1, 2) + m(2, 1);
    const auto rows = torch::stack({torch::stack({1 + xx + yy + zz, wx, wy, wz}, 1),
                                    torch::stack({wx, 1 + xx - yy - zz, xy, xz}, 1),
                                    torch::stack({wy, xy, 1 - xx + yy - zz, yz}, 1),
                                    torch::stack({wz, xz, yz, 1 - xx - yy + zz}, 1)},
                                   1);  // row k is 4 q_k q
    const auto pivot = rows.diagonal(0, 1, 2).argmax(1).view({-1, 1, 1}).expand({-1, 1, 4});
    const auto row = rows.gather(1, pivot).squeeze(1);
    const auto q = row / row.norm(2, 1, true);
    return torch::where(q.slice(1, 0, 1) < 0, -q, q);
}

}  // namespace

torch::Tensor skew(const torch::Tensor& r) {
    check_shape(r, {-1, 3}, "skew");
    const auto x = r.select(1, 0), y = r.select(1, 1), z = r.select(1, 2);
    const auto zero = torch::zeros_like(x);
    return torch::stack({zero, -z, y, z, zero, -x, -y, x, zero}, 1).view({-1, 3, 3});
}

torch::Tensor exp_map(const torch::Tensor& r) {
    check_shape(r, {-1, 3}, "axis-angle");
    const auto square = (r * r).sum(1, true);
    const auto small = square < kSmallSquare;
    // Both branches of `where` send a gradient, so each gets an argument at which it is finite.
    const auto near = torch::where(small, square, 0);
    const auto angle = torch::where(small, 1, square).sqrt();
    const auto half_sinc = (0.5 * angle).sin() / (0.5 * angle);
    const auto a =
        torch::where(small, polynomial(near, {1, -1. / 6, 1. / 120, -1. / 5040, 1. / 362880}),
                     angle.sin() / angle);
    const auto b = torch::where(
        small, polynomial(near, {1. / 2, -1. / 24, 1. / 720, -1. / 40320, 1. / 3628800}),
        0.5 * half_sinc * half_sinc);  // (1-cos θ)/θ² without its cancellation
    // R = I + a [r]× + b [r]×², [r]×² = r rᵀ - θ² I
    const auto eye = torch::eye(3, r.options());
    return (1 - b * square).unsqueeze(2) * eye + skew(a * r) +
           (b * r).unsqueeze(2) * r.unsqueeze(1);
}

torch::Tensor log_map(const torch::Tensor& R) {
    check_shape(R, {-1, 3, 3}, "rotation");
    const auto q = quaternion(R);
    const auto w = q.slice(1, 0, 1), v = q.slice(1, 1, 4);
    const auto square = (v * v).sum(1, true);
    const auto small = square < 1e-5;  // then w > 0.999: the series of 2 atan(s)/s in s = |v|/w
    const auto length = torch::where(small, 1, square).sqrt();
    const auto safe_w = torch::where(small, w, 1);
    const auto t = torch::where(small, square, 0) / (safe_w * safe_w);
    const auto near = polynomial(t, {2, -2. / 3, 2. / 5}) / safe_w;
    const auto far = 2 * torch::atan2(length, torch::where(small, 1, w)) / length;
    return torch::where(small, near, far) * v;
}

}  // namespace fmgs
