#include <fmgs/core/quaternion.h>

#include <fmgs/core/check.h>
#include <torch/types.h>

namespace fmgs {

// Of Shepperd's four forms the one with the
// largest pivot is taken, so that nothing is divided by less than 1/2 in magnitude.
torch::Tensor quaternion_of(const torch::Tensor& R) {
    check_shape(R, {-1, 3, 3}, "rotation");
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

torch::Tensor rotation_of(const torch::Tensor& quaternion) {
    check_shape(quaternion, {-1, 4}, "quaternion");
    const auto q = quaternion / quaternion.norm(2, 1, true);
    const auto w = q.select(1, 0), x = q.select(1, 1), y = q.select(1, 2), z = q.select(1, 3);
    return torch::stack({1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
                         2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                         2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)},
                        1)
        .view({-1, 3, 3});
}

}  // namespace fmgs
