#include <fmgs/core/rotation.h>

#include <fmgs/core/check.h>
#include <fmgs/core/quaternion.h>
#include <fmgs/core/surfel_rows.h>
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

torch::Tensor turned(const torch::Tensor& R, const torch::Tensor& r) {
    check_shape(R, {-1, 3, 3}, "rotation");
    check_shape(r, {R.size(0), 3}, "axis-angle");
    return detail::takes_rows(R) ? detail::turned_rows(R, r) : torch::matmul(R, exp_map(r));
}

torch::Tensor log_map(const torch::Tensor& R) {
    check_shape(R, {-1, 3, 3}, "rotation");
    const auto q = quaternion_of(R);
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
