#include <fmgs/losses/ssim/ssim_matrices.h>

#include <fmgs/losses/ssim/ssim_window.h>

#include <algorithm>

namespace fmgs::detail {
namespace {

constexpr double kC1 = kSsimC1, kC2 = kSsimC2;

/// The 1-D window as a symmetric banded matrix [n,n], n the longer side of x [C,H,W]: blurring is
/// then two matrix products, several times faster on a CPU than a convolution of few channels. Any
/// leading block of it is the matrix of a smaller picture.
Tensor gaussian_band(const Tensor& x) {
    const int64_t n = std::max(x.size(1), x.size(2));
    const auto window = ssim_window();
    const auto band = torch::zeros({n, n}, x.options());
    for (int64_t k = 0; k < std::min<int64_t>(n, kSsimRadius + 1); ++k) {
        for (const int64_t diagonal : {k, -k})
            band.diagonal(diagonal).fill_(window[static_cast<size_t>(k)]);
    }
    return band;
}

/// x: [K,H,W].
Tensor blur(const Tensor& x, const Tensor& band) {
    const auto rows = band.narrow(0, 0, x.size(1)).narrow(1, 0, x.size(1));
    const auto columns = band.narrow(0, 0, x.size(2)).narrow(1, 0, x.size(2));
    return torch::matmul(torch::matmul(rows, x), columns);
}

/// Everything that S is made of: S = a1 a2 / (b1 b2), all [C,H,W].
struct Parts {
    Tensor mean_x, mean_y, a1, a2, b1, b2, product, similarity;

    Parts(const Tensor& x, const Tensor& y) {
        const auto band = gaussian_band(x);
        const auto of_y = blur(torch::cat({y, y * y}), band).chunk(2);
        const auto of_x = blur(torch::cat({x, x * x, x * y}), band).chunk(3);
        mean_x = of_x[0];
        mean_y = of_y[0];
        const auto mean_square = mean_x.square().add_(mean_y.square());
        const auto mean_product = mean_x * mean_y;
        a1 = (2 * mean_product).add_(kC1);
        a2 = (of_x[2] - mean_product).mul_(2).add_(kC2);
        b1 = mean_square + kC1;
        b2 = (of_x[1] + of_y[1]).sub_(mean_square).add_(kC2);
        product = b1 * b2;
        similarity = (a1 * a2).div_(product);
    }
    Tensor sum() const { return (1 - similarity).sum(); }
};

}  // namespace

Tensor sum_by_matrices(const Tensor& x, const Tensor& y) { return Parts(x, y).sum(); }

std::tuple<Tensor, Tensor> slopes_by_matrices(const Tensor& x, const Tensor& y) {
    const Parts p(x, y);
    const auto slopes = torch::empty({3, x.size(0), x.size(1), x.size(2)}, x.options());
    auto by_mean = slopes[0], by_square = slopes[1], by_product = slopes[2];
    const auto sum = p.sum();
    torch::div_out(by_square, p.similarity, p.b2).neg_();
    torch::div_out(by_mean, p.similarity, p.b1).add_(by_square).mul_(p.mean_x);
    torch::div_out(by_product, p.a1, p.product).mul_(2);
    by_mean.neg_().add_((p.a2 - p.a1).mul_(p.mean_y).div_(p.product)).mul_(2);
    return {sum, slopes};
}

Tensor gradient_by_matrices(const Tensor& grad, const Tensor& x, const Tensor& y,
                            const Tensor& slopes) {
    const auto blurred = blur(slopes.flatten(0, 1), gaussian_band(x)).chunk(3);
    return (x * blurred[1]).mul_(2).add_(blurred[0]).addcmul_(y, blurred[2]).mul_(-grad);
}

}  // namespace fmgs::detail
